/** What an agent may say to become part of a page. */
export const HOSTILE = `<img src=x onerror="document.title='taken'">`;

/** A plan with a gate that may send back. */
export const GATED = {
  name: "login",
  steps: [
    { id: "design", run: "architect", task: "Design the login" },
    { id: "ok", gate: "Build this design?", needs: ["design"], back_to: { step: "design", max: 2 } },
    { id: "build", run: "implement", needs: ["ok"], from: "design", task: "Build it" },
  ],
};

/** A plan whose second step is blocked when the first was started twice, as after a start that was lost. */
export const RELEASE = {
  name: "release",
  limits: { runs: 2 },
  steps: [
    { id: "notes", run: "architect", task: "Write the notes" },
    { id: "build", run: "implement", task: "Build it", needs: ["notes"] },
  ],
};
