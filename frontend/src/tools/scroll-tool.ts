/** Scrolling by dragging, through the viewport's own state instead of behind its back. */

import { BaseTool } from "@cornerstonejs/tools";

type Scroll = (viewportId: string, steps: number) => void;

let scroll: Scroll = () => {};

/** Who moves a viewport to another image. */
export function onScroll(listener: Scroll): void {
	scroll = listener;
}

const PIXELS_AN_IMAGE = 4;

interface Drag {
	readonly detail: {
		readonly viewportId: string;
		readonly deltaPoints: { readonly canvas: readonly [number, number] };
	};
}

export class ScrollTool extends BaseTool {
	static override toolName = "PacswebScroll";
	private collected = 0;

	constructor(
		toolProps = {},
		defaultToolProps = { supportedInteractionTypes: ["Mouse"], configuration: {} },
	) {
		super(toolProps, defaultToolProps);
	}

	mouseDragCallback({ detail }: Drag): void {
		this.collected += detail.deltaPoints.canvas[1];
		const steps = Math.trunc(this.collected / PIXELS_AN_IMAGE);
		this.collected -= steps * PIXELS_AN_IMAGE;
		if (steps !== 0) scroll(detail.viewportId, steps);
	}
}
