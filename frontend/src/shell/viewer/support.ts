/** A view into the page for support and for tests: what each viewport really shows. */

import type { Painted } from "../../viewport/stack-view";
import type { ViewerSession } from "./viewer-session";

interface SupportWindow {
	pacsweb?: {
		/** State of each viewport, with the window and the shown frame. */
		views: () => object[];
		/** The shown image's values after the modality LUT; undefined while none is shown. */
		pixels: (pane: number) => { imageId: string; values: number[] } | undefined;
		/** The picture of a viewport as it is drawn, and where its pixels lie in the image. */
		painted: (pane: number) => Painted | undefined;
	};
}

/** Puts `window.pacsweb` there; returns how to take it away. */
export function exposeForSupport(session: ViewerSession): () => void {
	const page = window as unknown as SupportWindow;
	page.pacsweb = {
		views: () =>
			session.views.slice(0, session.getState().panes.length).map((view) => {
				const { displaySet, shown, shape, offered, ...rest } = view.getState();
				return {
					...rest,
					offered: offered.map((voi) => voi.name),
					displaySet: displaySet?.id,
					count: displaySet?.frames.length ?? 0,
					shown: shown && {
						index: shown.index,
						sopInstanceUID: shown.frame.sopInstanceUID,
						frameNumber: shown.frame.frameNumber,
					},
				};
			}),
		pixels: (pane) => {
			const pixels = session.views[pane]?.shownPixels();
			return pixels && { imageId: pixels.imageId, values: Array.from(pixels.values) };
		},
		painted: (pane) => session.views[pane]?.painted(),
	};
	return () => {
		delete page.pacsweb;
	};
}
