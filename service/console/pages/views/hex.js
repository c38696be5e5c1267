/** Bytes as hex, sixteen in a line, with what is printable beside them. */

const PER_LINE = 16;

/** `base64`: the bytes. What `hexdump -C` would print. */
export function hexOf(base64) {
  const raw = atob(base64);
  const lines = [];
  for (let at = 0; at < raw.length; at += PER_LINE) {
    const bytes = Array.from(raw.slice(at, at + PER_LINE), (one) => one.charCodeAt(0));
    const hex = bytes.map((one) => one.toString(16).padStart(2, "0"));
    const left = hex.slice(0, 8).join(" ").padEnd(23);
    const right = hex.slice(8).join(" ").padEnd(23);
    const seen = bytes.map((one) => (one >= 0x20 && one < 0x7f ? String.fromCharCode(one) : ".")).join("");
    lines.push(`${at.toString(16).padStart(8, "0")}  ${left}  ${right}  |${seen}|`);
  }
  return lines.join("\n");
}
