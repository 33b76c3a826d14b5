/** The engine's page-wide events, for modules that may not import it. */

import { eventTarget } from "@cornerstonejs/core";

/** Calls back on every event of this name; returns how to stop. */
export function onEngineEvent(name: string, listener: (event: Event) => void): () => void {
	eventTarget.addEventListener(name, listener);
	return () => eventTarget.removeEventListener(name, listener);
}
