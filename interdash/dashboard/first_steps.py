"""What the dashboard shows where there is no run yet: why, and the ways to the first one."""

import streamlit as st

from interdash.dashboard import links
from interdash.dashboard.data import roots
from interdash.runs.run import no_runs

FIRST_STEPS = """
##### See it on real data
In a terminal, `interdash demo` trains LeNet on MNIST and shows the result here within about four minutes;
`interdash demo --preset digits` needs a quarter of that. Or open *Start a built-in run* on the page Runs and press
*Start*.

##### Look at your own run
Three lines in the training loop record it, two commands make its interactions:

```
recorder = interdash.Recorder("my-run", "my_run.py:spec", epochs=100)
recorder.record(epoch, model, train_loss, test_loss)  # in your loop, each epoch
recorder.close()
```
```
interdash baseline my-run
interdash extract my-run
```

##### Look at somebody else's run
A run is a folder: copy it into the folder of runs, and it appears here.

If something fails, `interdash doctor` says what this machine lacks.
"""


def show_first_steps() -> None:
    """Says why there are no runs, and how to come to one."""
    for root in roots():
        reason = no_runs(root)
        st.info(links.message(f"{reason[0].upper()}{reason[1:]}."), icon=":material/folder_open:")
    with st.container(width=720):
        st.markdown(FIRST_STEPS)
