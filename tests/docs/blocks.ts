/** Code blocks of the documentation, and the output that their comments promise. */

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** One block of TypeScript. */
export interface Block {
  /** File and line, such as `README.md:20`. */
  where: string;
  /** The words after `ts` on the fence, such as `deno` for code of one runtime. */
  info: string;
  code: string;
  /** The output of its `console.log` calls in order, from the comments after them. */
  output: string[];
}

/** All blocks of README, docs and docstrings. */
export function blocks(): Block[] {
  const files = [
    "README.md",
    ...list("docs").filter((file) => file.endsWith(".md")),
    "mod.ts",
    ...list("src").filter((file) => file.endsWith(".ts")),
  ];
  return files.flatMap((file) => blocksOf(file, readFileSync(root + file, "utf8")));
}

function list(folder: string): string[] {
  const names = readdirSync(root + folder, { recursive: true }) as string[];
  return names.map((name) => `${folder}/${name.replaceAll("\\", "/")}`).sort();
}

function blocksOf(file: string, text: string): Block[] {
  const found: Block[] = [];
  const lines = text.split("\n");
  for (let i = 0; i < lines.length; i++) {
    const open = /^( \* |\s+ \* )?```ts ?(.*)$/.exec(lines[i]!);
    if (open === null) continue;
    const prefix = open[1] ?? "";
    const where = `${file}:${i + 1}`;
    const code: string[] = [];
    while (++i < lines.length) {
      const line = lines[i]!.slice(Math.min(prefix.length, lines[i]!.length));
      if (line.startsWith("```")) break;
      code.push(line);
    }
    found.push({ where, info: open[2]!.trim(), code: code.join("\n"), output: outputOf(code) });
  }
  return found;
}

/** Matches `console.log(1 + 1); // 2`. A comment that begins with "such as" promises nothing. */
function outputOf(code: string[]): string[] {
  return code.flatMap((line) => {
    const comment = /^\s*console\.log\(.*\); \/\/ (.*)$/.exec(line)?.[1];
    return comment === undefined || comment.startsWith("such as") ? [] : [comment];
  });
}
