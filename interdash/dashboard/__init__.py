"""All that knows Streamlit, and the jobs it starts."""
