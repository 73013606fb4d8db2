import { render } from "preact";
import { App } from "./app.js";
import { spareConnections } from "./hidden.js";
import { keepTime } from "./now.js";
import { listenForShortcuts } from "./shortcuts.js";
import "./style/base.css";
import "./style/parts.css";
import "./style/board.css";
import "./style/run.css";
import "./style/plan.css";
import "./style/figures.css";

keepTime();
listenForShortcuts();
spareConnections();
const place = document.getElementById("app");
if (place) render(<App />, place);
