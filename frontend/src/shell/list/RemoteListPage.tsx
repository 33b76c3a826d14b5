import { useQuery } from "@tanstack/react-query";
import { Keyboard, RefreshCw } from "lucide-react";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useNavigate } from "react-router";
import type { Elsewhere, RemoteStudy, Transfer } from "../../dicomweb/peers";
import { fetchSession, type StudyFilter, studyQuery } from "../../dicomweb/studies";
import { isForOthers, isOver, presenceOf } from "../../model/transfer";
import { Notice } from "../Notice";
import { UserMenu } from "../UserMenu";
import { FilterRow } from "./FilterRow";
import { filterFromSearch, NO_FILTER } from "./filter";
import { KeySheet } from "./ListBar";
import { failureOf, Problem, Standing } from "./RemoteStanding";
import { RemoteTable } from "./RemoteTable";
import { REMOTE_COLUMNS, sorted } from "./remoteColumns";
import { SourceMenu, usePeers } from "./SourceMenu";
import { isSame, SOURCE_KEYS } from "./source";
import { useFetching } from "./useFetching";
import { REMOTE_KEYS, useListKeys } from "./useListKeys";
import { useRemoteSearch } from "./useRemoteSearch";
import { useSettled } from "./useSettled";
import "./list.css";

// A search there costs somebody else: it begins when the typing has stopped.
const TYPED_MS = 600;

/** Another archive, searched with the filters of the study list; what is wanted is fetched. */
export default function RemoteListPage({
	source,
	onSource,
}: {
	source: Elsewhere;
	onSource: (source: Elsewhere | null) => void;
}) {
	const navigate = useNavigate();
	const { data: session } = useQuery({
		queryKey: ["session"],
		queryFn: ({ signal }) => fetchSession(signal),
		staleTime: 300_000,
	});
	const peers = usePeers(session);
	const { filter, setFilter, asked } = useAskedThere(source);
	const search = useRemoteSearch(source, asked);
	const { found } = search;
	const [problem, setProblem] = useState("");
	const allowed = session?.permissions.includes("transfer_studies") ?? false;
	const fetching = useFetching(source, allowed, search.stored, setProblem);
	const [sort, setSort] = useState("");
	const rows = useMemo(() => sorted(found.rows, sort), [found.rows, sort]);
	const choice = useChoice(rows);
	const [keysOpen, setKeysOpen] = useState(false);
	const [sourcesOpen, setSourcesOpen] = useState(false);
	const searchField = useRef<HTMLInputElement>(null);
	const chosen = rows.find((row) => row.StudyInstanceUID === choice.selected);
	const transfer = chosen && fetching.of.get(chosen.StudyInstanceUID);

	const open = (uid: string, newWindow = false) => {
		const row = rows.find((each) => each.StudyInstanceUID === uid);
		if (!row?.here) {
			setProblem("Nothing of this study is here yet: fetch it first.");
			return;
		}
		const address = `/viewer/${encodeURIComponent(uid)}`;
		if (newWindow) window.open(address, "_blank", "noopener");
		else navigate(address);
	};
	const pull = (method: "move" | "get" = "move") => {
		setProblem("");
		for (const uid of choice.all) {
			const known = fetching.of.get(uid);
			if (!known || isOver(known)) void fetching.pull(uid, method);
		}
	};
	const cancel = () => {
		if (found.state === "running") search.cancel();
		for (const uid of choice.all) {
			const known = fetching.of.get(uid);
			if (known && !isOver(known)) void fetching.cancel(known.id);
		}
	};
	useListKeys({
		move: (by, extend) => choice.move(by, extend),
		ends: (end) => choice.move(end === "first" ? -rows.length : rows.length, false),
		open: (newWindow) => choice.selected && open(choice.selected, newWindow),
		pull: () => pull(),
		cancel,
		archives: () => setSourcesOpen(true),
		filters: () => document.querySelector<HTMLElement>(".filter-row .filter-field")?.focus(),
		refresh: search.refresh,
		search: (text) => {
			searchField.current?.focus();
			if (text) setFilter((known) => ({ ...known, q: known.q + text }));
		},
		help: () => setKeysOpen(true),
		clear: () => setFilter(NO_FILTER),
	});

	const unknown = peers !== undefined && !peers.some((peer) => isSame(peer, source));
	return (
		<div className="list-page">
			<header className="list-bar">
				<SourceMenu
					source={source}
					peers={peers}
					onSource={onSource}
					open={sourcesOpen}
					onOpen={setSourcesOpen}
				/>
				<span className="muted list-count" aria-live="polite">
					{countText(found.state, rows.length, found.more, source.title)}
				</span>
				{found.state === "running" && (
					<button type="button" className="button" onClick={search.cancel}>
						Stop <kbd>c</kbd>
					</button>
				)}
				<span className="spread" />
				<Actions
					row={chosen}
					count={choice.all.length}
					transfer={transfer}
					user={session?.user ?? ""}
					onPull={() => pull()}
					onCancel={cancel}
					onOpen={() => choice.selected && open(choice.selected)}
				/>
				<button
					type="button"
					className="icon-button"
					aria-label="Search again"
					title="Search again   r"
					onClick={search.refresh}
				>
					<RefreshCw size={16} aria-hidden="true" />
				</button>
				<button
					type="button"
					className="icon-button"
					aria-label="Keys"
					title="Keys   ?"
					onClick={() => setKeysOpen(true)}
				>
					<Keyboard size={16} aria-hidden="true" />
				</button>
				<UserMenu />
				<KeySheet keys={REMOTE_KEYS} open={keysOpen} onOpenChange={setKeysOpen} />
			</header>
			<div className="list-main">
				<RemoteTable
					rows={rows}
					transfers={fetching.of}
					selected={choice.selected}
					marked={choice.marked}
					onSelect={choice.select}
					onOpen={open}
					sort={sort}
					onSort={setSort}
					filters={
						<FilterRow
							columns={REMOTE_COLUMNS}
							filter={filter}
							onChange={setFilter}
							searchField={searchField}
						/>
					}
				>
					{session && !allowed ? (
						<Notice title="You may not search other archives.">
							<p>An administrator can give you the right to transfer studies.</p>
							<Back onSource={onSource} />
						</Notice>
					) : unknown ? (
						<Notice title={`No archive is called ${source.title} here.`}>
							<p>It may have been renamed, switched off, or its host and port removed.</p>
							<Back onSource={onSource} />
						</Notice>
					) : (
						<Standing source={source.title} found={found} onAgain={search.refresh} />
					)}
				</RemoteTable>
			</div>
			<Problem
				words={problem || failureOf(transfer)}
				onClose={problem ? () => setProblem("") : undefined}
				onRetry={!problem && transfer ? () => void fetching.retry(transfer.id) : undefined}
				onGet={
					!problem && transfer?.method === "move" && isOver(transfer)
						? () => pull("get")
						: undefined
				}
			/>
		</div>
	);
}

/** The filters that another archive can be asked for, kept in the address beside its name. */
function useAskedThere({ kind, title }: Elsewhere) {
	const [filter, setFilter] = useState<StudyFilter>(() => there(filterFromSearch(location.search)));
	const asked = useSettled(filter, TYPED_MS);
	useEffect(() => {
		document.title = `Studies in ${title} · pacsweb`;
		const search = studyQuery(asked, "");
		search.delete("sort");
		search.set(SOURCE_KEYS[kind], title);
		window.history.replaceState(window.history.state, "", `/?${search}`);
	}, [asked, kind, title]);
	return { filter, setFilter, asked };
}

/** Body part, station and state are ours alone. */
function there(filter: StudyFilter): StudyFilter {
	return { ...filter, body_part: "", station: "", state: "" };
}

/** One row is selected; others may be marked with it, to be fetched together. */
function useChoice(rows: RemoteStudy[]) {
	const [selected, setSelected] = useState<string | null>(null);
	const [marked, setMarked] = useState<ReadonlySet<string>>(new Set());
	const uids = useMemo(() => rows.map((row) => row.StudyInstanceUID), [rows]);
	const position = selected === null ? -1 : uids.indexOf(selected);
	const select = useCallback(
		(uid: string, extend: "one" | "toggle" | "range") => {
			setMarked((known) => {
				if (extend === "one") return new Set();
				const next = new Set(known);
				if (selected !== null) next.add(selected);
				if (extend === "toggle") {
					if (known.has(uid)) next.delete(uid);
					else next.add(uid);
				} else {
					const to = uids.indexOf(uid);
					const [low, high] = [Math.min(position, to), Math.max(position, to)];
					for (const each of uids.slice(Math.max(low, 0), high + 1)) next.add(each);
				}
				return next;
			});
			setSelected(uid);
		},
		[selected, uids, position],
	);
	const move = (by: number, extend: boolean) => {
		const next = position < 0 ? 0 : Math.max(0, Math.min(uids.length - 1, position + by));
		const uid = uids[next];
		if (uid) select(uid, extend ? "range" : "one");
	};
	const all = useMemo(() => {
		const chosen = uids.filter((uid) => marked.has(uid));
		return chosen.length > 0 ? chosen : position >= 0 && selected ? [selected] : [];
	}, [uids, marked, position, selected]);
	return { selected, marked, all, select, move };
}

function Actions({
	row,
	count,
	transfer,
	user,
	onPull,
	onCancel,
	onOpen,
}: {
	row: RemoteStudy | undefined;
	count: number;
	transfer: Transfer | undefined;
	user: string;
	onPull: () => void;
	onCancel: () => void;
	onOpen: () => void;
}) {
	if (!row) return null;
	const active = transfer !== undefined && !isOver(transfer);
	const others = active && isForOthers(transfer, user);
	return (
		<>
			{row.here !== null && row.here > 0 && count === 1 && (
				<button type="button" className="button" onClick={onOpen}>
					Open <kbd>Enter</kbd>
				</button>
			)}
			{active && count === 1 ? (
				<button
					type="button"
					className="button"
					title={
						others
							? "Others asked for this study too: it is cancelled for them as well."
							: undefined
					}
					onClick={onCancel}
				>
					{others ? "Cancel fetching for all" : "Cancel fetching"} <kbd>c</kbd>
				</button>
			) : (
				<button
					type="button"
					className="button"
					data-kind={count === 1 && presenceOf(row) === "all" ? undefined : "primary"}
					onClick={onPull}
				>
					{count > 1 ? `Fetch ${count} studies` : "Fetch"} <kbd>p</kbd>
				</button>
			)}
		</>
	);
}

function Back({ onSource }: { onSource: (source: Elsewhere | null) => void }) {
	return (
		<button type="button" className="button" onClick={() => onSource(null)}>
			Show what is here
		</button>
	);
}

function countText(state: string, count: number, more: boolean, source: string): string {
	if (state === "idle") return "";
	const found = `${count.toLocaleString()} ${count === 1 ? "study" : "studies"}`;
	if (state === "running") return `${found} so far …`;
	return more ? `first ${count} of more in ${source}` : found;
}
