import { createRoot } from "react-dom/client";
import { App } from "./shell/App";
import { restoreTheme } from "./shell/theme";
import "./shell/styles/tokens.css";
import "./shell/styles/global.css";

restoreTheme();

const root = document.getElementById("root");
if (root) createRoot(root).render(<App />);
