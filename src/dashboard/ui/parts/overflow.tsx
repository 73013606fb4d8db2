import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

/** Whether there is more in an element than fits into it, to its side and below. */
export function useOverflow(frame: { current: HTMLElement | null }): { isWide: boolean; isHigh: boolean } {
  const [isWide, setWide] = useState(false);
  const [isHigh, setHigh] = useState(false);
  useEffect(() => {
    const element = frame.current;
    if (!element) return undefined;
    const look = () => {
      setWide(element.scrollWidth > element.clientWidth);
      setHigh(element.scrollHeight > element.clientHeight);
    };
    const sizes = new ResizeObserver(look);
    sizes.observe(element);
    for (const child of element.children) sizes.observe(child);
    return () => sizes.disconnect();
  }, []);
  return { isWide, isHigh };
}

/** Says below a frame that it scrolls sideways. */
export function MoreBeside({ isWide }: { isWide: boolean }) {
  return isWide ? <p class="muted more-beside">There is more beside it: scroll sideways.</p> : null;
}

/** A frame of limited height; where there is more in it, the keyboard reaches it, to scroll it. */
export function ScrollFrame(props: { class: string; label: string; children: ComponentChildren }) {
  const frame = useRef<HTMLElement>(null);
  const { isWide, isHigh } = useOverflow(frame);
  return (
    <section
      ref={frame}
      class={props.class}
      aria-label={props.label}
      tabIndex={isWide || isHigh ? 0 : undefined}
    >
      {props.children}
    </section>
  );
}
