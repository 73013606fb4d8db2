import type { ComponentChildren } from "preact";

/** Names and values; what is not known is left out. */
export function Facts({ facts }: { facts: [name: string, value: ComponentChildren][] }) {
  const known = facts.filter(([, value]) => value !== undefined && value !== "" && value !== null);
  return (
    <dl class="facts">
      {known.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export interface MeterProps {
  name: string;
  /** In words, with the limit. */
  text: string;
  value: number;
  /** Promised on top of it. */
  held?: number;
  /** Undefined: there is no limit, and no bar. */
  limit: number | undefined;
}

/** How much of a limit is used; the words say the same. */
export function Meter({ name, text, value, held = 0, limit }: MeterProps) {
  const share = (part: number) => (limit ? `${Math.min(100, (100 * part) / limit)}%` : "0%");
  const isNear = limit !== undefined && value + held >= 0.8 * limit;
  return (
    <div class={isNear ? "meter meter-near" : "meter"}>
      <span class="meter-name">{name}</span>
      <span class="meter-text number">{text}</span>
      {limit !== undefined && (
        <span class="meter-bar" aria-hidden="true">
          <span class="meter-held" style={{ width: share(value + held) }} />
          <span class="meter-value" style={{ width: share(value) }} />
        </span>
      )}
    </div>
  );
}
