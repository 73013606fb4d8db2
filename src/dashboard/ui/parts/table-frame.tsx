import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

/** A table that may be wider than the screen: then it scrolls, by the keyboard too, and says so. */
export function TableFrame({ label, children }: { label: string; children: ComponentChildren }) {
  const frame = useRef<HTMLElement>(null);
  const isWide = useIsWide(frame);
  return (
    <>
      <section ref={frame} class="table-frame" aria-label={label} tabIndex={isWide ? 0 : undefined}>
        {children}
      </section>
      {isWide && <p class="muted table-more">There is more beside it: scroll sideways.</p>}
    </>
  );
}

/** Whether there is more than fits. */
function useIsWide(frame: { current: HTMLElement | null }): boolean {
  const [isWide, setWide] = useState(false);
  useEffect(() => {
    const element = frame.current;
    if (!element) return undefined;
    const look = () => setWide(element.scrollWidth > element.clientWidth);
    const sizes = new ResizeObserver(look);
    sizes.observe(element);
    for (const child of element.children) sizes.observe(child);
    return () => sizes.disconnect();
  }, []);
  return isWide;
}
