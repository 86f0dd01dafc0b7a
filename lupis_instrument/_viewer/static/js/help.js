// The keys and the filter language.
import { html, useEffect, useRef } from "./preact.js";

const KEYS = [
  ["j  k", "next row, row before"],
  ["enter", "open the row"],
  ["esc", "close the details"],
  ["/", "go to the filter"],
  ["?", "this help"],
];
const WORDS = [
  ["model:gpt-4o", "the field has this value; * stands for any characters"],
  ["-model:gpt-4o", "another value, or none"],
  ["error", "the field is set; -error: it is not"],
  ["error:429 user:u7", "all words must match"],
  ["cost>0.01", "also <, >= and <=; duration>2s, first<300ms"],
  ["chat:trip-42 run:3f2a", "a conversation, a run"],
  ["trip", "any text of the call contains this"],
];
const FIELDS =
  "provider model operation host chat user session organization error status retries cost priced input cached output duration first fingerprint project service run trace tag.KEY";

export function Help({ isOpen, close }) {
  const dialog = useRef();
  useEffect(() => {
    if (isOpen) dialog.current.showModal();
  }, [isOpen]);
  return html`<dialog ref=${dialog} aria-labelledby="help-title" onClose=${close}>
    <h2 id="help-title">Help</h2>
    <h3>Keys</h3>
    <dl>${KEYS.map(([key, text]) => html`<div key=${key}><dt><kbd>${key}</kbd></dt><dd>${text}</dd></div>`)}</dl>
    <h3>Filter</h3>
    <dl>${WORDS.map(([word, text]) => html`<div key=${word}><dt><code>${word}</code></dt><dd>${text}</dd></div>`)}</dl>
    <p>Fields: ${FIELDS.split(" ").map((name, index) => html`${index ? ", " : ""}<code key=${name}>${name}</code>`)}.</p>
    <p>The address of a page holds the filter and the time range. Send it to a colleague on this machine.</p>
    <form method="dialog"><button>Close</button></form>
  </dialog>`;
}
