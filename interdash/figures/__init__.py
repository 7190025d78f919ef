"""From a DataFrame to a Plotly figure."""
