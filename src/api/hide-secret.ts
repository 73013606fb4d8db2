/** A shorter secret could be part of an ordinary text. */
const SHORTEST = 6;
const SHOWN = "<key>";

/**
 * An API that quotes the key it was sent must not make us show it: takes it out of every text of a JSON value, in
 * place, and gives the value. However deep the value is nested.
 * @param secret nothing happens when it is missing, or so short that honest texts may hold it
 */
export function hideSecret(value: unknown, secret: string | undefined): unknown {
  if (!secret || secret.length < SHORTEST) return value;
  const clean = (text: string) => text.replaceAll(secret, SHOWN);
  const root = { value };
  const waiting: Record<string, unknown>[] = [root];
  for (let holder = waiting.pop(); holder; holder = waiting.pop()) {
    for (const [name, inner] of Object.entries(holder)) {
      if (typeof inner === "string" && inner.includes(secret)) holder[name] = clean(inner);
      else if (typeof inner === "object" && inner !== null) waiting.push(inner as Record<string, unknown>);
      if (!name.includes(secret)) continue;
      holder[clean(name)] = holder[name];
      delete holder[name];
    }
  }
  return root.value;
}
