import { readSecretFile } from "../../settings/secret-file.js";
import { type Settings, SettingsError } from "../../settings/settings.js";
import { parseTokens, type Token } from "../../settings/tokens.js";
import { isLoopback } from "../../shared/http/loopback.js";

/**
 * The tokens that the command `serve` is to ask for, from the variable or the file.
 * @throws SettingsError when they cannot be read, when others could reach the server without one, and when settings
 * contradict one another
 */
export function settleTokens(settings: Settings): readonly Token[] {
  const { tokens: given, tokensFile, httpHost } = settings;
  if (given && tokensFile) {
    throw new SettingsError(
      "AUTOMAGIK_WORKFLOWS_TOKENS and AUTOMAGIK_WORKFLOWS_TOKENS_FILE are both set: only one of them can count",
    );
  }
  if (settings.callerKeys === "on" && settings.engine === "local") {
    throw new SettingsError(
      "AUTOMAGIK_WORKFLOWS_CALLER_KEYS: callers cannot bring keys of their own to the engine on this machine; leave one of the two off",
    );
  }
  const tokens = given ?? (tokensFile === undefined ? [] : readTokensFile(tokensFile));
  if (tokens.length === 0 && !isLoopback(httpHost)) {
    throw new SettingsError(
      `${httpHost} can be reached from other machines, so tokens are needed: set AUTOMAGIK_WORKFLOWS_TOKENS or AUTOMAGIK_WORKFLOWS_TOKENS_FILE`,
    );
  }
  checkApart(settings, tokens);
  return tokens;
}

function checkApart({ httpCallers, userId, callerKeys }: Settings, tokens: readonly Token[]): void {
  if (httpCallers !== "apart") return;
  const name = "AUTOMAGIK_WORKFLOWS_HTTP_CALLERS";
  if (tokens.length === 0)
    throw new SettingsError(
      `${name}: callers can be kept apart by their tokens only: set AUTOMAGIK_WORKFLOWS_TOKENS or AUTOMAGIK_WORKFLOWS_TOKENS_FILE`,
    );
  if (userId !== undefined)
    throw new SettingsError(
      `${name}: with AUTOMAGIK_WORKFLOWS_USER_ID all runs are one user's; leave one of the two out`,
    );
  if (callerKeys === "on")
    throw new SettingsError(
      `${name}: callers with keys of their own (AUTOMAGIK_WORKFLOWS_CALLER_KEYS) share nothing already; leave one of the two out`,
    );
}

function readTokensFile(path: string): Token[] {
  const text = readSecretFile("AUTOMAGIK_WORKFLOWS_TOKENS_FILE", path);
  try {
    return parseTokens(text);
  } catch (error) {
    throw new SettingsError(`AUTOMAGIK_WORKFLOWS_TOKENS_FILE: the file ${(error as Error).message}`);
  }
}
