/** Writes JSON for people: one row on a line, and numbers with four digits. */

/** Puts an object whose objects have only simple values, or anything smaller, on one line. */
export function json(value: unknown, indent: string = ""): string {
  if (height(value) <= 2) return JSON.stringify(value, rounded);
  const list = Array.isArray(value);
  const inner = `${indent} `;
  const parts = Object.entries(value as object).map(([key, part]) =>
    `${inner}${list ? "" : `${JSON.stringify(key)}: `}${json(part, inner)}`
  );
  return `${list ? "[" : "{"}\n${parts.join(",\n")}\n${indent}${list ? "]" : "}"}`;
}

function height(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(height));
}

function rounded(_key: string, value: unknown): unknown {
  if (typeof value !== "number") return value;
  return Math.abs(value) >= 1_000 ? Math.round(value) : Number(value.toPrecision(4));
}
