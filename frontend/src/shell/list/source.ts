import type { Elsewhere } from "../../dicomweb/peers";

/** Where the address of the list names another archive: by AE title, or by name. */
export const SOURCE_KEYS: Record<Elsewhere["kind"], string> = {
	dimse: "source",
	dicomweb: "archive",
};

/** The archive an address names; null for what is here. */
export function sourceOf(search: URLSearchParams): Elsewhere | null {
	for (const kind of ["dicomweb", "dimse"] as const) {
		const title = search.get(SOURCE_KEYS[kind]);
		if (title) return { kind, title };
	}
	return null;
}

export function isSame(one: Elsewhere | null, other: Elsewhere | null): boolean {
	return one?.kind === other?.kind && one?.title === other?.title;
}
