/**
 * Checks programs as `tsc -p` does, in one process: `node check_types.cjs TYPESCRIPT DIRECTORY PROJECTS`.
 * Prints what is wrong with each.
 *
 * TypeScript's own libraries and those of `@types` are not checked for errors of their own, which would take
 * four times as long as all the rest, and are parsed once. The program and the package are checked in
 * full: `skipLibCheck` would leave out the declarations of the package too.
 */

const [, , typescript, directory, projects] = process.argv;
const ts = require(typescript);
const foreign = /\/node_modules\/(typescript[^/]*|@types)\//;
const parsed = new Map();

/** @param {{ compilerOptions: object, files: string[] }} project */
function check(project) {
  const config = ts.parseJsonConfigFileContent(project, ts.sys, directory);
  const host = ts.createCompilerHost(config.options);
  // As in `tsc`, and unlike in editors, which show the comments.
  host.jsDocParsingMode = ts.JSDocParsingMode.ParseForTypeErrors;
  const { getSourceFile } = host;
  host.getSourceFile = (file, how, ...rest) => {
    if (!foreign.test(file)) return getSourceFile(file, how, ...rest);
    const key = JSON.stringify([file, how]);
    if (!parsed.has(key)) parsed.set(key, getSourceFile(file, how, ...rest));
    return parsed.get(key);
  };
  const program = ts.createProgram(config.fileNames, config.options, host);
  const own = program.getSourceFiles().filter(({ fileName }) => !foreign.test(fileName));
  return [
    ...config.errors,
    ...program.getConfigFileParsingDiagnostics(),
    ...program.getOptionsDiagnostics(),
    ...program.getGlobalDiagnostics(),
    ...own.flatMap((file) => [
      ...program.getSyntacticDiagnostics(file),
      ...program.getSemanticDiagnostics(file),
    ]),
  ];
}

const format = {
  getCanonicalFileName: (file) => file,
  getCurrentDirectory: () => directory,
  getNewLine: () => "\n",
};
const texts = JSON.parse(projects).map((one) => ts.formatDiagnostics(check(one), format));
console.log(JSON.stringify(texts));
