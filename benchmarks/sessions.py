"""A session of the dashboard without a browser: what a browser says to Streamlit's server, and no drawing.

Ten windows of one Chromium beside the server measure mostly how ten windows share the machine, which no user's do. A
`Client` opens the same WebSocket, sends the same messages and waits for the same answers.
"""

import time
from typing import Any
from urllib.parse import parse_qsl, urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect


class Client:
    """One session. `seconds` of every action: from the message to the end of the script, all answers received."""

    def __init__(self, link: ClientConnection, query: str) -> None:
        self.link = link
        self.query: dict[str, str] = dict(parse_qsl(query))
        self.page_hash = ""
        self.widgets: dict[str, Any] = {}  # by the widget's key: its message
        self.states: dict[str, str | list[str]] = {}  # by the widget's id: what was chosen, of a list or of others
        self.charts = 0
        self.errors: list[str] = []

    @classmethod
    async def open(cls, address: str, query: str) -> "Client":
        """Returns a session that has shown nothing yet."""
        url = address.replace("http://", "ws://") + "/_stcore/stream"
        return cls(await connect(url, subprotocols=["streamlit"], max_size=None, origin=address), query)  # pyright: ignore

    async def turn_to(self, page: str) -> float:
        """Returns the seconds that a page takes."""
        self.widgets, self.states = {}, {}
        message = BackMsg()
        message.rerun_script.page_name = page
        return await self._run(message)

    async def choose(self, key: str, option: str | int) -> float:
        """Returns the seconds of a rerun after an option of a control or slider was chosen, by text or by place."""
        if key not in self.widgets:
            raise KeyError(f"{key!r} is none of this page's widgets: {', '.join(sorted(self.widgets))}")
        widget = self.widgets[key]
        text = option if isinstance(option, str) else widget.options[option]
        self.states[widget.id] = text if widget.DESCRIPTOR.name == "Selectbox" else [text]
        if widget.query_param_key:
            self.query[widget.query_param_key] = text
        return await self._run(BackMsg())

    async def press(self, key: str) -> float:
        """Returns the seconds of a rerun after a button was pressed."""
        message = BackMsg()
        message.rerun_script.widget_states.widgets.add(id=self.widgets[key].id, trigger_value=True)
        return await self._run(message)

    async def _run(self, message: BackMsg) -> float:
        script = message.rerun_script
        script.query_string = urlencode(self.query)
        if not script.page_name:
            script.page_script_hash = self.page_hash
        for id, chosen in self.states.items():
            state = script.widget_states.widgets.add(id=id)
            if isinstance(chosen, str):
                state.string_value = chosen
            else:
                state.string_array_value.data.extend(chosen)
        start, self.charts = time.perf_counter(), 0
        await self.link.send(message.SerializeToString())
        while True:
            answer = ForwardMsg.FromString(await self.link.recv())  # pyright: ignore[reportArgumentType]  (bytes)
            kind = answer.WhichOneof("type")
            if kind == "script_finished":
                return time.perf_counter() - start
            if kind == "navigation":
                self.page_hash = answer.navigation.page_script_hash
            elif kind == "page_info_changed":
                self.query = dict(parse_qsl(answer.page_info_changed.query_string))
            elif kind == "delta" and answer.delta.WhichOneof("type") == "new_element":
                self._take(answer.delta.new_element)

    def _take(self, element: Any) -> None:
        """Keeps what an element is needed for later; charts are counted, exceptions and error boxes are errors."""
        kind = element.WhichOneof("type")
        found = getattr(element, kind)
        if kind == "exception":
            self.errors.append(f"{found.type}: {found.message}"[:300])
        elif kind == "alert" and found.format == found.ERROR:
            self.errors.append(found.body[:300])
        elif kind == "plotly_chart":
            self.charts += 1
        elif kind in ("slider", "button_group", "button", "selectbox"):
            self.widgets[found.id.rpartition("-")[2]] = found  # an id ends with the widget's key
