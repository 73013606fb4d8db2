import type { DeliveriesView, DeliveryRow, ServiceCounts } from "../../views/deliveries.js";
import { count, isoTime, moment, plural } from "../format.js";
import { now } from "../now.js";
import { useLinks } from "./doing.js";
import { Facts } from "./facts.js";
import { Status } from "./status.js";

/** What was told by other services, and what has not arrived there or may not have. Nothing where nothing was told. */
export function Deliveries(props: { told: DeliveriesView | undefined; problem: string | undefined }) {
  const { told, problem } = props;
  if (!problem && (!told || told.services.length === 0)) return null;
  return (
    <section aria-labelledby="deliveries">
      <h2 id="deliveries">Told elsewhere</h2>
      {problem && <p class="problem">{problem}</p>}
      {told && <Facts facts={told.services.map((one) => [one.service, write(one)])} />}
      {told && told.rows.length > 0 && (
        <>
          <p class="muted">
            Unknown: the answer was lost. Look there whether it has arrived. Failed: it has not, and is not
            tried again.
          </p>
          <ul class="rows deliveries" aria-label="Unknown and failed">
            {told.rows.map((row) => (
              <Row key={`${row.service} ${row.at} ${row.what}`} row={row} />
            ))}
          </ul>
          {told.left > 0 && <p class="muted">{plural(told.left, "older one")} not shown.</p>}
        </>
      )}
    </section>
  );
}

function Row({ row }: { row: DeliveryRow }) {
  const links = useLinks();
  const { service, state, what, why, at, runId, planId } = row;
  const href =
    planId !== undefined ? links.plan?.(planId) : runId === undefined ? undefined : links.run?.(runId);
  return (
    <li class="run-line delivery-row">
      <Status status={state} />
      <span class="run-name">
        {href ? <a href={href}>{what}</a> : <span>{what}</span>}
        <small class="muted">{service}</small>
      </span>
      <span class="delivery-why">{why}</span>
      <time class="number" dateTime={isoTime(at)}>
        {moment(at, now.value)}
      </time>
    </li>
  );
}

function write({ sent, unknown, failed, waiting }: ServiceCounts): string {
  const parts: [number, string][] = [
    [sent, "sent"],
    [unknown, "unknown"],
    [failed, "failed"],
    [waiting, "waiting"],
  ];
  return parts.flatMap(([value, word]) => (value > 0 ? [`${count(value)} ${word}`] : [])).join(", ");
}
