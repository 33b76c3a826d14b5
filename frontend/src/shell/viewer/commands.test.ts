import { describe, expect, it } from "vitest";
import { COMMANDS, commandOfKey, keyName, keyOf } from "./commands";

const press = (
	key: string,
	held: Partial<Record<"ctrlKey" | "altKey" | "shiftKey" | "metaKey", boolean>> = {},
) => keyOf({ key, ctrlKey: false, altKey: false, shiftKey: false, metaKey: false, ...held });

describe("keys", () => {
	it("gives every key to one command", () => {
		const keys = COMMANDS.flatMap((command) => command.keys);
		expect(keys.filter((key, index) => keys.indexOf(key) !== index)).toEqual([]);
	});

	it("has the keys of the interface's list", () => {
		const expected: Record<string, string> = {
			w: "tool-window",
			z: "tool-zoom",
			p: "tool-pan",
			l: "tool-length",
			b: "tool-bidirectional",
			a: "tool-angle",
			e: "tool-ellipse",
			r: "tool-rectangle",
			d: "tool-probe",
			t: "tool-arrow",
			i: "invert",
			h: "flip-horizontal",
			v: "flip-vertical",
			"[": "rotate-left",
			"]": "rotate-right",
			"0": "reset",
			"1": "preset-1",
			"9": "preset-9",
			",": "previous-series",
			".": "next-series",
			c: "cine",
			s: "synchronise",
			x: "reference-lines",
			o: "overlay",
			Tab: "next-viewport",
			Delete: "delete",
			"Ctrl+z": "undo",
			"Ctrl+k": "palette",
			"?": "keys",
			Home: "first-image",
			End: "last-image",
			PageDown: "next-ten",
			PageUp: "previous-ten",
		};
		for (const [key, id] of Object.entries(expected)) expect(commandOfKey(key)?.id, key).toBe(id);
	});

	it("spells what is pressed", () => {
		expect(press("z", { ctrlKey: true })).toBe("Ctrl+z");
		expect(press("z", { metaKey: true })).toBe("Ctrl+z");
		expect(press("?", { shiftKey: true })).toBe("?");
		expect(press("Tab", { shiftKey: true })).toBe("Shift+Tab");
		expect(press("Z", { ctrlKey: true, shiftKey: true })).toBe("Ctrl+Shift+Z");
	});

	it("works with Caps Lock on, and never takes a key of the browser", () => {
		expect(commandOfKey("W")?.id).toBe("tool-window");
		expect(commandOfKey("Ctrl+w")).toBeUndefined();
		expect(commandOfKey("F5")).toBeUndefined();
	});

	it("writes keys as they are on the keyboard", () => {
		expect(["w", "Ctrl+k", "PageDown", "+", "Shift+Tab"].map(keyName)).toEqual([
			"w",
			"Ctrl+K",
			"PgDn",
			"+",
			"Shift+Tab",
		]);
	});
});
