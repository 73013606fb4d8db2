import { SHORTCUTS } from "../shortcuts.js";

export function HelpPage() {
  return (
    <section class="page narrow" aria-labelledby="keys">
      <h1 id="keys">Keys</h1>
      <p class="muted">Everything can be reached with Tab and Enter. These are quicker:</p>
      <table class="keys">
        <thead>
          <tr>
            <th scope="col">Keys</th>
            <th scope="col">What they do</th>
          </tr>
        </thead>
        <tbody>
          {SHORTCUTS.map(({ keys, does }) => (
            <tr key={keys}>
              <td>
                {keys
                  .split(" ")
                  .map((key) => (key === "/" && keys !== "/" ? " / " : <kbd key={key}>{key}</kbd>))}
              </td>
              <td>{does}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
