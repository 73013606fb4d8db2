/** What happens at one of the engine's waits. */
export type AtWait = (name: string) => Promise<void> | void;

type Call = (...args: unknown[]) => unknown;

/** By its declaration: then it can be held up before it does anything. */
const isAsync = (call: object) => call.constructor.name === "AsyncFunction";

/**
 * Makes a named point of each call that is waited for: `name.method`, or the name alone of a function. Nobody lists them,
 * so a method that is added is met by itself. The point is before the call's own work; where that gives a promise and is
 * no async function, behind it.
 */
export function walkCalls<T extends object>(name: string, target: T, at: AtWait): T {
  if (typeof target === "function")
    return walkCall(name, target as unknown as Call, isAsync(target), at) as T;
  const walked = new Map<PropertyKey, unknown>();
  function walk(key: PropertyKey, found: object): unknown {
    if (typeof found !== "function") return walkCalls(String(key), found, at);
    return walkCall(`${name}.${String(key)}`, found.bind(target), isAsync(found), at);
  }
  return new Proxy(target, {
    get(_, key) {
      const found: unknown = Reflect.get(target, key);
      if (typeof found !== "function" && !isPlain(found)) return found;
      if (!walked.has(key)) walked.set(key, walk(key, found));
      return walked.get(key);
    },
  });
}

/** An object that holds further calls, perhaps. */
function isPlain(found: unknown): found is object {
  return typeof found === "object" && found !== null && Object.getPrototypeOf(found) === Object.prototype;
}

function walkCall(name: string, call: Call, isHeldUp: boolean, at: AtWait): Call {
  if (isHeldUp)
    return async (...args) => {
      await at(name);
      return call(...args);
    };
  return (...args) => {
    const done = call(...args);
    if (!(done instanceof Promise)) return done;
    return done.then(async (value) => {
      await at(name);
      return value;
    });
  };
}
