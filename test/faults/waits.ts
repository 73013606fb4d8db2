import type { SteadyTime } from "./steady-time.js";

/** A connection that nobody uses may stay open for so long after the server has closed, in real ms. */
const IDLE_SOCKET_MS = 5_500;

/** What is wrong with the connections some seconds after a server has closed. */
export async function socketsAreGone(api: { sockets(): number }, time: SteadyTime): Promise<string[]> {
  const until = time.now() + IDLE_SOCKET_MS;
  while (api.sockets() > 0) {
    if (time.now() > until) return [`${api.sockets()} connections are left after closing`];
    await pause(100);
  }
  return [];
}

/** Whether the work is over within the time. */
export async function withinMs(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const over = await Promise.race([work.then(() => true), late]);
  clearTimeout(timer);
  return over;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
