/** A button that copies a text. */

import { el } from "./element.js";
import { toast } from "./speech.js";

/** `what` is said when it is done; `text` is a function, so that it is the text of that moment. */
export function copyButton(what, text) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text());
      toast(`Copied: ${what}`);
    } catch {
      // Browsers give no clipboard to pages without HTTPS, but to localhost.
      toast("The browser gives no clipboard to this page. Select the text and copy it.", true);
    }
  };
  return el("button", { type: "button", class: "small", onclick: copy, "aria-label": `Copy ${what}` }, "Copy");
}
