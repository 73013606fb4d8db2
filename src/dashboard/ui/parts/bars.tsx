import type { FigureGroup } from "../../views/figures.js";
import type { Measure } from "./measures.js";

export interface BarsProps {
  groups: readonly FigureGroup[];
  nameOf(group: FigureGroup): string;
  measure: Measure;
  chosen: string | undefined;
  onChoose(key: string): void;
}

/** A bar for each group; each opens what is behind it. */
export function Bars({ groups, nameOf, measure, chosen, onChoose }: BarsProps) {
  const whole = (group: FigureGroup) => measure.parts.reduce((sum, part) => sum + (part.of(group) ?? 0), 0);
  const most = Math.max(...groups.map(whole), Number.MIN_VALUE);
  return (
    <ul class="plain bars">
      {groups.map((group) => (
        <li key={group.key}>
          <button
            type="button"
            class="bar-row"
            aria-pressed={group.key === chosen}
            onClick={() => onChoose(group.key)}
          >
            <span class="bar-label" title={group.label}>
              {nameOf(group)}
            </span>
            <span class="bar-track" aria-hidden="true">
              {measure.parts.map((part) => (
                <span
                  key={part.name}
                  style={{
                    width: `${(100 * (part.of(group) ?? 0)) / most}%`,
                    background: `var(${part.color})`,
                  }}
                />
              ))}
            </span>
            <span class="bar-value number">{measure.text(group)}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}

/** What the colours of a measure with several parts mean. */
export function Legend({ measure }: { measure: Measure }) {
  if (measure.parts.length < 2) return null;
  return (
    <ul class="plain legend">
      {measure.parts.map(({ name, color }) => (
        <li key={name}>
          <span class="swatch" style={{ background: `var(${color})` }} />
          {name}
        </li>
      ))}
    </ul>
  );
}
