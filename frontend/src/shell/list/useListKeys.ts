import { useEffect, useRef } from "react";

/** What the keys do; a page leaves out what it cannot do. */
export interface ListKeys {
	move: (by: number, extend: boolean) => void;
	ends: (end: "first" | "last") => void;
	open: (newWindow: boolean) => void;
	preview?: () => void;
	nextUnread?: () => void;
	mark?: () => void;
	tab?: (by: number) => void;
	send?: () => void;
	pull?: () => void;
	cancel?: () => void;
	archives?: () => void;
	filters: () => void;
	refresh: () => void;
	search: (text: string) => void;
	help: () => void;
	clear: () => void;
}

/** TABLE: the list's keys, for the sheet. */
export const LIST_KEYS: [string, string][] = [
	["/", "search"],
	["↑ ↓", "previous, next study"],
	["PgUp PgDn", "ten studies up, down"],
	["Home End", "first, last study"],
	["Enter", "open"],
	["Shift Enter", "open in a second window"],
	["Space", "preview in the side panel"],
	["n", "next study that is complete and not read"],
	["m", "mark as read, or as not read"],
	["s", "send to another system"],
	["a", "search another archive"],
	["[ ]", "previous, next tab"],
	["f", "filters"],
	["r", "refresh"],
	["Esc", "lift all filters"],
	["any name", "search"],
	["?", "this sheet"],
];

/** TABLE: the keys while another archive is searched. */
export const REMOTE_KEYS: [string, string][] = [
	["/", "search"],
	["↑ ↓", "previous, next study"],
	["Shift ↑ ↓", "mark several studies"],
	["p", "fetch what is selected or marked"],
	["c", "stop the search, or the fetching of what is selected"],
	["Enter", "open, once the first images are here"],
	["Shift Enter", "open in a second window"],
	["a", "another archive, or what is here"],
	["f", "filters"],
	["r", "search again"],
	["Esc", "lift all filters"],
	["any name", "search"],
	["?", "this sheet"],
];

const COMMANDS = new Map<
	string,
	"nextUnread" | "mark" | "filters" | "refresh" | "send" | "pull" | "cancel" | "archives"
>([
	["n", "nextUnread"],
	["m", "mark"],
	["f", "filters"],
	["r", "refresh"],
	["s", "send"],
	["p", "pull"],
	["c", "cancel"],
	["a", "archives"],
]);

const NAMED = new Map<string, (keys: ListKeys, event: KeyboardEvent) => void>([
	["ArrowDown", (keys, event) => keys.move(1, event.shiftKey)],
	["ArrowUp", (keys, event) => keys.move(-1, event.shiftKey)],
	["PageDown", (keys, event) => keys.move(10, event.shiftKey)],
	["PageUp", (keys, event) => keys.move(-10, event.shiftKey)],
	["Home", (keys) => keys.ends("first")],
	["End", (keys) => keys.ends("last")],
	["Enter", (keys, event) => keys.open(event.shiftKey)],
	[" ", (keys) => keys.preview?.()],
	["/", (keys) => keys.search("")],
	["[", (keys) => keys.tab?.(-1)],
	["]", (keys) => keys.tab?.(1)],
	["?", (keys) => keys.help()],
	["Escape", (keys) => keys.clear()],
]);

// A single letter may be a key or the beginning of a name: the next letter decides.
const DECIDE_MS = 300;

/** Keys for the whole page, except while somebody types in a field. */
export function useListKeys(keys: ListKeys): void {
	const latest = useRef(keys);
	latest.current = keys;
	useEffect(() => {
		let pending = "";
		let timer = 0;
		const letter = (key: string) => {
			window.clearTimeout(timer);
			const text = pending + key;
			pending = "";
			const name = COMMANDS.get(text);
			if (!name || !latest.current[name]) {
				latest.current.search(text);
				return;
			}
			pending = text;
			timer = window.setTimeout(() => {
				pending = "";
				latest.current[name]?.();
			}, DECIDE_MS);
		};
		const down = (event: KeyboardEvent) => {
			const target = event.target as HTMLElement;
			if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
			const typing = target.closest("input, select, textarea, [role=dialog], [role=menu]");
			if (typing) {
				const field = target.classList.contains("filter-field");
				if (field && (event.key === "ArrowDown" || event.key === "Enter")) {
					target.blur();
					latest.current.ends("first");
					event.preventDefault();
				}
				if (field && event.key === "Escape") target.blur();
				return;
			}
			const action = NAMED.get(event.key);
			if (action) {
				if (target.closest("button, a") && (event.key === "Enter" || event.key === " ")) return;
				event.preventDefault();
				action(latest.current, event);
			} else if (/^[\p{L}\p{N}]$/u.test(event.key)) {
				event.preventDefault();
				letter(event.key);
			}
		};
		window.addEventListener("keydown", down);
		return () => {
			window.removeEventListener("keydown", down);
			window.clearTimeout(timer);
		};
	}, []);
}
