import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import { MoreBeside, useOverflow } from "./overflow.js";

/** A table that may be wider than the screen: then it scrolls, by the keyboard too, and says so. */
export function TableFrame({ label, children }: { label: string; children: ComponentChildren }) {
  const frame = useRef<HTMLElement>(null);
  const { isWide } = useOverflow(frame);
  return (
    <>
      <section ref={frame} class="table-frame" aria-label={label} tabIndex={isWide ? 0 : undefined}>
        {children}
      </section>
      <MoreBeside isWide={isWide} />
    </>
  );
}
