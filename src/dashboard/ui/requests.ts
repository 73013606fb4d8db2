import { ACTION_HEADER } from "../views/calls.js";
import type { RefusalView } from "../views/session.js";

/** The server has answered, and said no; the message is its own. */
export class Refused extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

/** @throws Refused with the server's words; TypeError when nothing was answered */
export async function get<Answer>(path: string, signal?: AbortSignal): Promise<Answer> {
  return read(await fetch(path, { ...(signal ? { signal } : {}), credentials: "same-origin" }));
}

/** @throws Refused with the server's words; TypeError when nothing was answered, and it is not known what was done */
export async function post<Answer>(path: string, body: unknown): Promise<Answer> {
  return read(
    await fetch(path, {
      method: "POST",
      credentials: "same-origin",
      headers: { "content-type": "application/json", [ACTION_HEADER]: "1" },
      body: JSON.stringify(body),
    }),
  );
}

/** The server says that nobody is signed in here; false when it says nothing at all. */
export async function isSignedOut(): Promise<boolean> {
  try {
    await get("api/session");
    return false;
  } catch (error) {
    return error instanceof Refused && error.status === 401;
  }
}

async function read<Answer>(response: Response): Promise<Answer> {
  if (response.ok) return (await response.json()) as Answer;
  const told = (await response.json().catch(() => undefined)) as RefusalView | undefined;
  throw new Refused(told?.error ?? `The server answered ${response.status}.`, response.status);
}
