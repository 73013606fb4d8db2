import { clockTime, duration } from "../format.js";
import { connection } from "../live.js";
import { now } from "../now.js";

/** Whether what is seen is what is: says plainly when the connection is lost, and since when. */
export function Connection() {
  const told = connection.value;
  if (told.state !== "lost" && told.state !== "ended") {
    return (
      <p class={`connection connection-${told.state}`} role="status">
        {told.state === "open" ? "live" : "connecting…"}
      </p>
    );
  }
  return (
    <p class="connection connection-lost" role="alert">
      {told.state === "lost" ? (
        <>
          <strong>Connection lost</strong> at {clockTime(told.since)}
          <span aria-hidden="true">, {duration((now.value - told.since) / 1_000)} ago</span>. What you see is
          as of then; trying again. If it does not come back, run{" "}
          <code>automagik-workflows-mcp dashboard</code> for a new link.
        </>
      ) : (
        <>
          <strong>Signed out.</strong> {told.why} Open a new link: run{" "}
          <code>automagik-workflows-mcp dashboard</code>.
        </>
      )}
    </p>
  );
}
