import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

export interface Tab {
  name: string;
  title: ComponentChildren;
  body(): ComponentChildren;
}

/** One of several parts at a time; the arrow keys go from one to the next. */
export function Tabs(props: { label: string; tabs: Tab[]; shown: string; onShow(name: string): void }) {
  const { label, tabs, shown, onShow } = props;
  const id = useId();
  const current = tabs.find(({ name }) => name === shown) ?? tabs[0];
  const move = (event: KeyboardEvent) => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (step === 0 || !current) return;
    const next = tabs[(tabs.indexOf(current) + step + tabs.length) % tabs.length];
    if (!next) return;
    onShow(next.name);
    document.getElementById(`${id}-${next.name}`)?.focus();
  };
  return (
    <div class="tabs">
      <div role="tablist" aria-label={label} onKeyDown={move} tabIndex={-1}>
        {tabs.map(({ name, title }) => (
          <button
            key={name}
            id={`${id}-${name}`}
            type="button"
            role="tab"
            aria-selected={name === current?.name}
            aria-controls={`${id}-panel`}
            tabIndex={name === current?.name ? 0 : -1}
            onClick={() => onShow(name)}
          >
            {title}
          </button>
        ))}
      </div>
      <div id={`${id}-panel`} role="tabpanel" aria-labelledby={`${id}-${current?.name}`}>
        {current?.body()}
      </div>
    </div>
  );
}
