"""The least page with one chart: what Streamlit, Plotly, the browser and the machine take by themselves."""

import plotly.graph_objects as go
import streamlit as st

st.title("Reference")
k = st.select_slider("k", range(20), value=10, key="k")
st.plotly_chart(go.Figure(go.Scatter(y=[i * k % 7 for i in range(200)])), key="chart")
