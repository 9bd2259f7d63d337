// Rows as CSV.

/** A cell that starts like a formula gets an apostrophe, so that spreadsheets show it as text. */
export function toCsv(rows) {
  const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const cell = (value) =>
    typeof value === "string" ? quoted(/^[=+\-@\t\r]/.test(value) ? `'${value}` : value) : (value ?? "");
  return `${rows.map((row) => row.map(cell).join(",")).join("\n")}\n`;
}
