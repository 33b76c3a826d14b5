import { describe, expect, it } from "vitest";
import { type Point, TouchGestures } from "./touch-gestures";

const at = (...places: [number, number][]): Point[] => places.map(([x, y]) => ({ x, y }));

function recorded() {
	const log: string[] = [];
	const gestures = new TouchGestures({
		begin: () => log.push("begin"),
		pan: (dx, dy) => log.push(`pan ${dx} ${dy}`),
		zoom: (factor, { x, y }) => log.push(`zoom ${factor.toFixed(2)} at ${x} ${y}`),
		scroll: (steps) => log.push(`scroll ${steps}`),
	});
	return { log, gestures };
}

describe("touch", () => {
	it("leaves one finger to the chosen tool", () => {
		const { log, gestures } = recorded();
		expect(gestures.start(at([1, 1]))).toBe(false);
		expect(gestures.move(at([9, 9]))).toBe(false);
		expect(gestures.end([])).toBe(false);
		expect(log).toEqual([]);
	});

	it("zooms and pans with two fingers, the second of which came later", () => {
		const { log, gestures } = recorded();
		gestures.start(at([100, 100]));
		expect(gestures.start(at([100, 100], [200, 100]))).toBe(true);
		expect(gestures.move(at([50, 110], [250, 110]))).toBe(true);
		expect(log).toEqual(["begin", "pan 0 10", "zoom 2.00 at 150 110"]);
	});

	it("scrolls with three fingers, counting small moves together", () => {
		const { log, gestures } = recorded();
		gestures.start(at([0, 0], [10, 0], [20, 0]));
		gestures.move(at([0, 8], [10, 8], [20, 8]));
		gestures.move(at([0, 16], [10, 16], [20, 16]));
		gestures.move(at([0, -20], [10, -20], [20, -20]));
		expect(log).toEqual(["begin", "scroll 1", "scroll -2"]);
	});

	it("gives nothing to the tool until the last finger is lifted", () => {
		const { log, gestures } = recorded();
		gestures.start(at([0, 0], [100, 0]));
		expect(gestures.end(at([0, 0]))).toBe(true);
		expect(gestures.move(at([50, 50]))).toBe(true);
		expect(gestures.end([])).toBe(false);
		expect(gestures.start(at([0, 0]))).toBe(false);
		expect(log).toEqual(["begin"]);
	});
});
