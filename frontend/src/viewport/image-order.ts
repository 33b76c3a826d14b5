/** In which order images are fetched: the visible one, its neighbours, then the rest. */

/**
 * Indices of a stack by nearness to `current`; of two equally near ones first the one that lies
 * in the direction of the last scroll (1 forwards, -1 backwards).
 */
export function nearestFirst(count: number, current: number, direction: 1 | -1 = 1): number[] {
	const order: number[] = [];
	const take = (index: number) => {
		if (index >= 0 && index < count) order.push(index);
	};
	take(current);
	for (let distance = 1; distance < count; distance += 1) {
		take(current + direction * distance);
		take(current - direction * distance);
	}
	return order;
}

export interface Wanted {
	readonly imageIds: readonly string[];
	readonly current: number;
	readonly direction: 1 | -1;
}

/** The next image to fetch for several stacks, the first one's needs first; undefined when all are there. */
export function nextImage(
	stacks: readonly Wanted[],
	skip: (imageId: string) => boolean,
	near = 5,
): string | undefined {
	const orders = stacks.map((stack) =>
		nearestFirst(stack.imageIds.length, stack.current, stack.direction).map(
			(index) => stack.imageIds[index] ?? "",
		),
	);
	const neighbours = orders.map((order) => order.slice(0, near));
	for (const order of [...neighbours, ...orders]) {
		const found = order.find((imageId) => !skip(imageId));
		if (found) return found;
	}
	return undefined;
}
