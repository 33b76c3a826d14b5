/** What the engine computed for a drawing, with what it gets wrong put right. */

import { pixelValue } from "../viewport/pixel-value";
import type { Stats } from "./readings";
import type { ToolId } from "./tool-table";

/**
 * The numbers of one drawing on one image. A probe's value is read from the image itself: the
 * engine looks for it as many slices deep as the image stands in its stack.
 */
export function statsOf(tool: ToolId, computed: unknown, imageId: string): Stats {
	const stats = (computed ?? {}) as Stats & { index?: ArrayLike<number> | null };
	if (tool !== "probe" || !stats.index) return stats;
	const [column = -1, row = -1] = Array.from(stats.index);
	const values = pixelValue(imageId, column, row);
	return { value: values?.length === 1 ? values[0] : undefined, channels: values };
}
