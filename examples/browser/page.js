/** The form of the example. In a front end of yours, `token` asks your own server. */

import { LiveRequest } from "./live_request.js";

const form = document.getElementById("form");
const state = document.getElementById("state");
const text = document.getElementById("text");
let live = null;

function watch() {
  const { console, request, token } = Object.fromEntries(new FormData(form));
  live?.close();
  live = new LiveRequest({
    console,
    request,
    token: async () => token,
    shown: {
      // As text, never as markup: it was generated.
      text: (whole) => (text.textContent = whole),
      state: (word, detail) => (state.textContent = detail?.stage ?? detail?.code ?? word),
    },
  });
  live.open();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  watch();
});

// `index.html#console=…&request=…&token=…`: what is behind the # is sent to no server.
for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
  if (form.elements[name]) form.elements[name].value = value;
}
if (form.checkValidity()) watch();
