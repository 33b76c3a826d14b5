import { describe, expect, it } from "vitest";
import { nearestFirst, nextImage } from "./image-order";

describe("nearestFirst", () => {
	it("takes the visible image, its neighbours, then the rest", () => {
		expect(nearestFirst(6, 2)).toEqual([2, 3, 1, 4, 0, 5]);
	});

	it("prefers the direction of the last scroll", () => {
		expect(nearestFirst(5, 2, -1)).toEqual([2, 1, 3, 0, 4]);
	});

	it("names every image once", () => {
		expect(nearestFirst(50, 49).sort((a, b) => a - b)).toEqual(
			Array.from({ length: 50 }, (_, index) => index),
		);
	});
});

describe("nextImage", () => {
	const stack = (name: string, current: number) => ({
		imageIds: Array.from({ length: 20 }, (_, index) => `${name}${index}`),
		current,
		direction: 1 as const,
	});

	it("serves the neighbours of every stack before the far images of any", () => {
		const have = new Set<string>();
		const order = Array.from({ length: 12 }, () => {
			const next = nextImage([stack("a", 10), stack("b", 0)], (id) => have.has(id)) ?? "";
			have.add(next);
			return next;
		});
		expect(order.slice(0, 5)).toEqual(["a10", "a11", "a9", "a12", "a8"]);
		expect(order.slice(5, 10)).toEqual(["b0", "b1", "b2", "b3", "b4"]);
		expect(order[10]).toBe("a13");
	});

	it("ends when everything is there", () => {
		expect(nextImage([stack("a", 0)], () => true)).toBeUndefined();
	});
});
