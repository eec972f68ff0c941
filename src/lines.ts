/** Columns of text. Pure. */

const gap = "  ";

/** Rows as lines: each column as wide as its longest text, aligned right; empty columns left out. */
export function alignedLines(rows: readonly (readonly string[])[], left = 0): string[] {
  const [header = [], ...rest] = rows;
  const shown = header.flatMap((title, column) => {
    const texts = rest.map((row) => row[column] ?? "");
    if (texts.every((text) => text === "")) return [];
    return [{ column, width: Math.max(title.length, ...texts.map((text) => text.length)) }];
  });
  return rows.map((row) => {
    const texts = shown.map(({ column, width }) => {
      const text = row[column] ?? "";
      return column < left ? text.padEnd(width) : text.padStart(width);
    });
    return texts.join(gap).trimEnd();
  });
}
