import { describe, expect, it } from "vitest";
import { firstPart } from "./client";
import { inlineBinary, number, numbers, personName, text, texts } from "./dicom-json";
import { RequestQueue } from "./request-queue";

describe("DICOM JSON", () => {
	it("reads numbers sent as numbers or as text, and none as none", () => {
		const set = {
			a: { vr: "DS", Value: ["1.5", 2] },
			b: { vr: "IS", Value: ["1A"] },
			c: { vr: "DS", Value: [null] },
			d: { vr: "DS" },
		};
		expect(numbers(set, "a")).toEqual([1.5, 2]);
		expect([number(set, "b"), number(set, "c"), number(set, "d"), number(set, "e")]).toEqual([
			undefined,
			undefined,
			undefined,
			undefined,
		]);
	});

	it("reads empty values, names and binary", () => {
		const set = {
			a: { vr: "LO", Value: ["x ", null] },
			n: { vr: "PN", Value: [{ Alphabetic: "A^B", Phonetic: "c" }] },
			o: { vr: "OB", InlineBinary: "AQI=" },
		};
		expect(texts(set, "a")).toEqual(["x", ""]);
		expect(text(set, "n")).toBe("A^B");
		expect(personName(set, "n").Phonetic).toBe("c");
		expect([...(inlineBinary(set.o) ?? [])]).toEqual([1, 2]);
	});
});

describe("firstPart", () => {
	const bytes = (words: string) => Uint8Array.from(words, (letter) => letter.charCodeAt(0));

	it("cuts the body out of a multipart answer", () => {
		const answer =
			"--b1\r\nContent-Type: application/octet-stream\r\n\r\nPDF\r\n\r\n--x\r\n--b1--\r\n";
		expect(new TextDecoder().decode(firstPart(bytes(answer)))).toBe("PDF\r\n\r\n--x");
	});

	it("says so when there is none", () => {
		expect(() => firstPart(bytes("hello"))).toThrow("cannot be read");
	});
});

describe("RequestQueue", () => {
	it("runs a few at a time, the important first", async () => {
		const queue = new RequestQueue(1);
		const order: string[] = [];
		const task = (name: string, priority: number) =>
			queue.run(async () => void order.push(name), { priority });
		await Promise.all([task("first", 5), task("last", 9), task("soon", 1)]);
		expect(order).toEqual(["first", "soon", "last"]);
	});

	it("drops what was aborted before its turn, and goes on after a failure", async () => {
		const queue = new RequestQueue(1);
		const stopping = new AbortController();
		const failing = queue.run(() => Promise.reject(new Error("no")));
		const dropped = queue.run(async () => "never", { signal: stopping.signal });
		stopping.abort(new Error("left"));
		await expect(failing).rejects.toThrow("no");
		await expect(dropped).rejects.toThrow("left");
		await expect(queue.run(async () => "on")).resolves.toBe("on");
	});
});
