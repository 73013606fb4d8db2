import { type CommandForm, type CommandKind, fits } from "./command-form.js";
import type { PlainCommand } from "./plain-command.js";

const NUMBER = /^\d{1,6}$/;
/** A name or an expression; nothing that could be a path or an option. */
const NAME = /^[^-/~\\.@][^/~\\]*$/;
const ANY = /^[^-]/;
const WORD = /^\w[\w-]*$/;

/**
 * True for a path that stays below where the command runs, as far as its text tells. A leading "@" makes several
 * programs read further arguments from that file.
 */
function inside(word: string): boolean {
  return !/^[-/~@]|\\|^[A-Za-z]:|:\/|[=:,]\.\.?\/|[=:,]~|(^|\/)\.\.(\/|$)/.test(word) && word !== "";
}

/** True for a path inside that has no `.git` in it, in any spelling: with one a folder becomes a repository. */
function insideFiles(word: string): boolean {
  const plain = word.replace(/\p{C}/gu, "");
  return inside(word) && !/(?:^|\/)(?:\.git[. ]*|git~\d+)(?:\/|$)/i.test(plain);
}

/** What test programs in general take, behind a package manager. */
const TEST_ARGUMENTS: CommandForm["rest"] = {
  flags:
    /^--(run|silent|verbose|coverage|no-coverage|bail|ci|runInBand|passWithNoTests|watch=false|watchAll=false)$/,
  values: { "-t": NAME, "--testNamePattern": NAME, "--grep": NAME, "--reporter": /^[a-z]+$/ },
  operands: inside,
};

const scripts = (begin: string, rest: Omit<CommandForm, "begin" | "kind"> = {}): CommandForm => ({
  begin,
  kind: "scripts",
  ...rest,
});

const PACKAGE_SCRIPTS: CommandForm[] = ["npm", "pnpm", "yarn"].flatMap((manager) => [
  scripts(`${manager} test`, { ...TEST_ARGUMENTS, rest: TEST_ARGUMENTS }),
  // Scripts that begin like the others may also deploy (build-and-publish), so those only as they are.
  ...["run", "run -s", "run --silent"].map((run) =>
    scripts(`${manager} ${run} *`, { ...TEST_ARGUMENTS, rest: TEST_ARGUMENTS }),
  ),
]);
const PYTEST: Omit<CommandForm, "begin" | "kind"> = {
  flags:
    /^(?:-[qvxsl]+|--(?:lf|ff|nf|sw|last-failed|failed-first|exitfirst|quiet|verbose|collect-only|no-header|no-summary)|-r[A-Za-z]+)$/,
  values: {
    "-k": NAME,
    "-m": NAME,
    "-n": /^(?:\d{1,3}|auto)$/,
    "--maxfail": NUMBER,
    "--tb": /^(?:short|long|line|no|native|auto)$/,
    "--durations": NUMBER,
  },
  operands: inside,
};
const UNITTEST: Omit<CommandForm, "begin" | "kind"> = { flags: /^-[vqfb]+$/, operands: /^[A-Za-z_][\w.]*$/ };

const CARGO: Omit<CommandForm, "begin" | "kind"> = {
  flags:
    /^(?:-q|-v+|-r|--(?:all|workspace|all-targets|all-features|no-default-features|release|quiet|verbose|lib|bins|tests|examples|benches|doc|no-run|no-fail-fast|locked|offline|frozen|check))$/,
  values: {
    "-p": WORD,
    "--package": WORD,
    "--test": WORD,
    "--bin": WORD,
    "--features": /^[\w,-]+$/,
    "-j": NUMBER,
  },
  operands: /^\w[\w:]*$/,
  rest: {
    flags: /^(?:--(?:nocapture|check|ignored|include-ignored|exact|test-threads=\d+)|-[DWA])$/,
    operands: /^\w[\w:-]*$/,
  },
};

const GO: Omit<CommandForm, "begin" | "kind"> = {
  flags: /^-(?:v|race|short|cover|failfast|benchmem|json|count=\d+|timeout=\d+[smh]|p=\d+)$/,
  values: {
    "-run": NAME,
    "-bench": /^[^-/~\\@][^/~\\]*$/,
    "-count": NUMBER,
    "-timeout": /^\d+[smh]$/,
    "-p": NUMBER,
  },
  operands: (word) => /^\.(?:\/|$)/.test(word) && inside(word),
};

const DOTNET: Omit<CommandForm, "begin" | "kind"> = {
  flags: /^--(?:no-restore|no-build|nologo)$/,
  values: { "-c": /^(?:Debug|Release)$/, "--filter": NAME, "-v": /^[a-z]+$/, "--verbosity": /^[a-z]+$/ },
  operands: inside,
};

const FORMS: readonly CommandForm[] = [
  { begin: "sudo", kind: "never", flags: /^/, operands: /^/ },
  { begin: "git status", kind: "look", flags: /^(?:-s|-b|-sb|--short|--branch|--porcelain)$/ },
  { begin: "git diff", kind: "look", flags: /^--(?:stat|cached|staged|name-only|name-status|check)$/ },
  {
    begin: "git log",
    kind: "look",
    // No %G…: that starts the program which checks signatures.
    flags: /^(?:--(?:oneline|stat|graph|decorate)|--(?:format|pretty)=[A-FH-Za-z\d%:,. -]{1,80}|-\d{1,4})$/,
    values: { "-n": NUMBER },
  },
  { begin: "git rev-parse", kind: "look", flags: /^--short$/, operands: /^HEAD$/ },
  { begin: "git branch --show-current", kind: "look" },
  { begin: "echo", kind: "look", operands: ANY },
  { begin: "pwd", kind: "look" },
  { begin: "true", kind: "look" },
  ...["head", "tail"].map(
    (begin): CommandForm => ({
      begin,
      kind: "look",
      piped: true,
      flags: /^-(?:n|c)?\d+$/,
      values: { "-n": NUMBER, "-c": NUMBER },
    }),
  ),
  {
    begin: "grep",
    kind: "look",
    piped: true,
    flags: /^-[ivEFnwxcoq]+$/,
    values: { "-A": NUMBER, "-B": NUMBER, "-C": NUMBER, "-m": NUMBER },
    operands: ANY,
    most: 1,
  },
  { begin: "wc", kind: "look", piped: true, flags: /^-[lwc]$/ },
  {
    begin: "git add",
    kind: "commit",
    flags: /^(?:-A|--all|-u|--update|-n|--dry-run|-v|--verbose|-N|--intent-to-add|\.)$/,
    operands: inside,
  },
  {
    begin: "git commit",
    kind: "commit",
    flags: /^(?:-[aqsv]+|--all|--quiet|--signoff|--allow-empty)$/,
    // Without a message an editor would be opened.
    needs: /^(?:-\w*m|--message(?:=.*)?)$/s,
    values: {
      "-m": ANY,
      "-am": ANY,
      "-qm": ANY,
      "-aqm": ANY,
      "-qam": ANY,
      "-sm": ANY,
      "-asm": ANY,
      "--message": ANY,
    },
    operands: inside,
  },
  { begin: "git mv", kind: "move", flags: /^(?:-[nkv]|--dry-run|--verbose)$/, operands: insideFiles },
  ...PACKAGE_SCRIPTS,
  scripts("node --test", {
    flags:
      /^--(?:test-only|experimental-test-coverage|test-reporter=(?:spec|tap|dot|junit)|test-concurrency=\d+)$/,
    values: { "--test-name-pattern": NAME },
    operands: inside,
  }),
  scripts("pytest", PYTEST),
  ...["python", "python3"].flatMap((python) => [
    scripts(`${python} -m pytest`, PYTEST),
    scripts(`${python} -m unittest`, UNITTEST),
  ]),
  scripts("ruff check", { flags: /^--(?:fix|quiet|statistics|no-fix)$/, operands: inside }),
  scripts("mypy", { flags: /^--(?:strict|pretty|no-error-summary)$/, operands: inside }),
  ...["test", "build", "check", "clippy", "fmt"].map((command) => scripts(`cargo ${command}`, CARGO)),
  ...["test", "build", "vet", "fmt"].map((command) => scripts(`go ${command}`, GO)),
  ...["test", "check", "lint", "build"].map((target) =>
    scripts(`make ${target}`, {
      flags: /^(?:-j\d*|-k|-s|--silent|--keep-going)$/,
      operands: /^(?:test|check|lint|build)$/,
    }),
  ),
  scripts("mvn test", { flags: /^(?:-q|-B|-o|--batch-mode|-Dtest=[\w#*.,]+)$/ }),
  scripts("./gradlew test", {
    flags: /^--(?:info|stacktrace|no-daemon|offline|console=plain|quiet)$/,
    values: { "--tests": NAME },
  }),
  scripts("dotnet test", DOTNET),
  scripts("dotnet build", DOTNET),
  scripts("bundle exec rspec", {
    values: { "-e": NAME, "--example": NAME, "-f": /^[dp]$/, "--format": /^(?:documentation|progress)$/ },
    operands: inside,
  }),
  scripts("bundle exec rake test"),
  scripts("mix test", {
    flags: /^--(?:trace|failed|stale)$/,
    values: { "--seed": NUMBER },
    operands: inside,
  }),
  scripts("swift test", { flags: /^--parallel$/, values: { "--filter": NAME } }),
];

/** What a command does; undefined for one that has none of the known forms. */
export function kindOf(command: PlainCommand): CommandKind | undefined {
  if (isForcedPush(command.words)) return "never";
  return FORMS.find((form) => fits(form, command))?.kind;
}

/** A forced push takes other people's commits away. */
function isForcedPush([program, command, ...rest]: string[]): boolean {
  return (
    program === "git" &&
    command === "push" &&
    rest.some((word) => /^(?:-\w*f\w*|--force.*|--mirror|\+.*)$/.test(word))
  );
}
