import { createRoot } from "react-dom/client";
import { App } from "./shell/App";
import "./shell/styles/tokens.css";
import "./shell/styles/global.css";

const root = document.getElementById("root");
if (root) createRoot(root).render(<App />);
