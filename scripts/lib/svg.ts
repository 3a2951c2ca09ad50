/** Draws pictures for the documentation. */

export function text(at: number | string, y: number, content: string, extra: string = ""): string {
  const escaped = content.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<text x="${at}" y="${y}" ${extra}>${escaped}</text>`;
}

/** A picture with a white background. */
export function svg(
  [width, height]: [width: number, height: number],
  fontSize: number,
  marks: string[],
): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" ` +
    `font-family="sans-serif" font-size="${fontSize}">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    ...marks,
    "</svg>\n",
  ].join("\n");
}
