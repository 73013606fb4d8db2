/** One command out of a command line. */
export interface PlainCommand {
  /** Its words as the program gets them, without quotes. */
  words: string[];
  /** It reads the output of the command before it. */
  piped: boolean;
}

/** What means itself to a shell when it stands without quotes. */
const LITERAL = /[A-Za-z0-9_@%+=:,./-]/;
/** Output that goes nowhere else: it changes no file. */
const HARMLESS_REDIRECTION = /2>(?:&1|\/dev\/null)(?=[ \t\n;|&]|$)/y;
const OPERATOR = /&&|\|\||[|;\n]/y;
/**
 * How Claude Code writes a commit message of several lines. What would mean something to a shell is not taken in the
 * text, because old shells read it before they see that it is a quoted text.
 */
const MESSAGE = /"\$\(cat <<'([A-Za-z_]+)'\n([^"$`\\]*?)\n\1\n[ \t]*\)"$/y;

/**
 * The commands of a command line, joined by `&&`, `||`, `;`, `|` or line ends. Undefined for everything that is not
 * plainly understood: variables, substitutions, patterns, redirections, escapes, groups, background commands, settings
 * before a command, comments, and characters that are not seen.
 */
export function readPlainCommands(text: string): PlainCommand[] | undefined {
  if (/[^\P{C}\n\t]/u.test(text)) return undefined;
  const commands: PlainCommand[] = [];
  let words: string[] = [];
  let word: string | undefined;
  let piped = false;

  function endWord(): void {
    if (word !== undefined) words.push(word);
    word = undefined;
  }
  /** False for a command that there is not. */
  function endCommand(): boolean {
    endWord();
    const [name] = words;
    if (name === undefined || /^[A-Za-z_]\w*\+?=/.test(name)) return false;
    commands.push({ words, piped });
    words = [];
    return true;
  }

  for (let at = 0; at < text.length; ) {
    const char = text.charAt(at);
    if (char === " " || char === "\t") {
      endWord();
      at++;
      continue;
    }
    const operator = match(OPERATOR, text, at)?.[0];
    if (operator) {
      if (!endCommand()) return undefined;
      piped = operator === "|";
      at += operator.length;
      continue;
    }
    const redirection = word === undefined ? match(HARMLESS_REDIRECTION, text, at) : undefined;
    if (redirection) {
      at += redirection[0].length;
      continue;
    }
    const quoted = readQuoted(text, at);
    if (quoted) {
      word = (word ?? "") + quoted.text;
      at = quoted.end;
      continue;
    }
    // Some shells replace a word that begins with "=" by the path of a program.
    if (!LITERAL.test(char) || (char === "=" && word === undefined)) return undefined;
    word = (word ?? "") + char;
    at++;
  }
  return endCommand() ? commands : undefined;
}

function readQuoted(text: string, at: number): { text: string; end: number } | undefined {
  const message = match(MESSAGE, text, at);
  if (message) {
    const [whole, mark = "", body = ""] = message;
    // The text ends at the first line that is the mark, and what follows is carried out.
    return body.split("\n").includes(mark) ? undefined : { text: body, end: at + whole.length };
  }
  const quoted = match(/'([^']*)'|"([^"$`\\]*)"/y, text, at);
  return quoted && { text: quoted[1] ?? quoted[2] ?? "", end: at + quoted[0].length };
}

function match(pattern: RegExp, text: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text) ?? undefined;
}
