/** Reads the JUnit reports of `deno test`, `bun test` and `node:test`. */

export interface TestResult {
  name: string;
  status: "passed" | "failed" | "skipped";
  /** Why it failed, or why it was skipped if the runner reports that. */
  detail: string;
}

// Node does not escape ">" in attributes, so an attribute has to be read to its closing quote.
const testcase = /<testcase((?:\s+[\w-]+="[^"]*")*)\s*(?:\/>|>([\s\S]*?)<\/testcase>)/g;

export function parse(report: string): TestResult[] {
  return [...report.matchAll(testcase)].map(([, attributes = "", body = ""]) => {
    const name = attribute(attributes, "name");
    // Checked first, since Node reports a `todo` that fails as both.
    const skipped = /<skipped([^>]*)>/.exec(body);
    if (skipped) {
      return { name, status: "skipped", detail: attribute(skipped[1] ?? "", "message") };
    }
    const failure = /<(?:failure|error)((?:\s+[\w-]+="[^"]*")*)\s*(?:\/>|>([\s\S]*?)<\/)/.exec(
      body,
    );
    if (!failure) return { name, status: "passed", detail: "" };
    const detail = unescape(failure[2] ?? "").trim() || attribute(failure[1] ?? "", "message");
    return { name, status: "failed", detail };
  });
}

function attribute(attributes: string, name: string): string {
  return unescape(new RegExp(`\\s${name}="([^"]*)"`).exec(attributes)?.[1] ?? "");
}

const entities: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

function unescape(text: string): string {
  return text.replace(/&(?:#(\d+)|(\w+));/g, (all, code, name) => {
    return code === undefined ? entities[name] ?? all : String.fromCodePoint(Number(code));
  });
}
