import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { RowOffsets } from "./row-offsets.js";

export interface VirtualListProps {
  count: number;
  /** The same key, the same row, also when rows come in front of it. */
  keyOf(index: number): string | number;
  row(index: number): ComponentChildren;
  /** What a row that was not seen yet counts as, in CSS pixels. */
  estimate: number;
  /** What scrolls; without it the page. */
  scroller?: RefObject<HTMLElement>;
  /** The end stays in sight while rows are added, until the reader scrolls away from it. */
  follow?: boolean;
  /** Told when the reader has scrolled away from the end, or back to it. */
  onFollow?(follows: boolean): void;
  /** A new one brings the row to the top of what is in sight. */
  jump?: { index: number } | undefined;
  label: string;
  class?: string;
}

/** Rows above and below the visible ones that are there too, so that the keyboard finds its next one. */
const SPARE_ROWS = 8;
/** What stands above the page's content when it is scrolled, in CSS pixels. */
const STICKY_PX = 64;
/** How near to the end counts as at the end, in CSS pixels. */
const AT_END = 24;

/** A list of which only the rows in sight are in the document, whatever their heights. */
export function VirtualList(props: VirtualListProps) {
  const { count, keyOf, row, estimate, scroller, follow, onFollow, jump, label } = props;
  const list = useRef<HTMLUListElement>(null);
  const offsets = useMemo(() => new RowOffsets(estimate), [estimate]);
  const [, redraw] = useState(0);
  const scrolledTo = useRef(0);
  const seen = useRef({ top: 0, bottom: 900 });
  offsets.update(count, keyOf);

  /** @returns true when other rows are in sight than before */
  const look = (): boolean => {
    const box = list.current?.getBoundingClientRect();
    if (!box) return false;
    const frame = scroller?.current?.getBoundingClientRect();
    const top = Math.max(0, (frame?.top ?? 0) - box.top);
    const bottom = Math.max(0, (frame?.bottom ?? window.innerHeight) - box.top);
    const isNew = top !== seen.current.top || bottom !== seen.current.bottom;
    seen.current = { top, bottom };
    return isNew;
  };

  useEffect(() => {
    const onScroll = () => {
      if (look()) redraw((value) => value + 1);
      const frame = scroller?.current;
      if (!frame || !onFollow) return;
      const isAtEnd = frame.scrollHeight - frame.scrollTop - frame.clientHeight < AT_END;
      // Rows that turn out higher than thought move the end away; only a reader scrolls up.
      if (isAtEnd) onFollow(true);
      else if (frame.scrollTop < scrolledTo.current) onFollow(false);
      scrolledTo.current = frame.scrollTop;
    };
    const target = scroller?.current ?? document;
    target.addEventListener("scroll", onScroll, { passive: true });
    window.addEventListener("resize", onScroll);
    onScroll();
    return () => {
      target.removeEventListener("scroll", onScroll);
      window.removeEventListener("resize", onScroll);
    };
  }, [scroller, onFollow]);

  useLayoutEffect(() => {
    let changed = false;
    for (const element of list.current?.children ?? []) {
      const index = Number(element.getAttribute("aria-posinset")) - 1;
      const height = element.getBoundingClientRect().height;
      if (height > 0 && index < count && offsets.measured(index, keyOf(index), height)) changed = true;
    }
    const frame = scroller?.current;
    if (follow && frame) frame.scrollTop = frame.scrollHeight;
    if (look() || changed) redraw((value) => value + 1);
  });

  useEffect(() => {
    const box = list.current?.getBoundingClientRect();
    if (!jump || !box) return;
    const frame = scroller?.current;
    const top = box.top + offsets.top(jump.index) - (frame?.getBoundingClientRect().top ?? STICKY_PX);
    (frame ?? window).scrollBy({ top });
  }, [jump]);

  const first = Math.max(0, offsets.rowAt(seen.current.top, count) - SPARE_ROWS);
  const last = Math.min(count - 1, offsets.rowAt(seen.current.bottom, count) + SPARE_ROWS);
  const rows = [];
  for (let index = first; index <= last; index += 1) {
    rows.push(
      <li
        key={keyOf(index)}
        class="virtual-row"
        aria-setsize={count}
        aria-posinset={index + 1}
        style={{ transform: `translateY(${offsets.top(index)}px)` }}
      >
        {row(index)}
      </li>,
    );
  }
  return (
    <ul
      ref={list}
      aria-label={label}
      class={`virtual ${props.class ?? ""}`}
      style={{ height: `${offsets.top(count)}px` }}
    >
      {rows}
    </ul>
  );
}
