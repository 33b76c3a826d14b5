// biome-ignore-all lint/a11y/useSemanticElements: only the rows in sight exist, so it cannot be a <table>
// biome-ignore-all lint/a11y/useFocusableInteractive: the titles do nothing
import { useQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { Braces, ChevronDown, ChevronRight, Copy, GitCompareArrows } from "lucide-react";
import { Fragment, useMemo, useRef, useState } from "react";
import { instanceHeader } from "../../dicomweb/client";
import { text } from "../../dicomweb/dicom-json";
import {
	asText,
	comparedRows,
	differingPaths,
	type HeaderRow,
	headerRows,
	spellTag,
	visibleRows,
} from "../../model/header";
import { Tag } from "../../model/tags";
import { Notice } from "../Notice";
import { Tip } from "../Tip";
import { useSession, useView, useViewer } from "./session-context";
import { displaySetById } from "./viewer-state";

interface Where {
	study: string;
	series: string;
	instance: string;
}

/** The instance shown in a viewport: the shown frame's, or the document's. */
function useShownInstance(pane: number | undefined): Where | undefined {
	const session = useSession();
	const state = useViewer();
	const shown = useView(pane === undefined ? undefined : session.views[pane])?.shown?.frame;
	const set = pane === undefined ? undefined : displaySetById(state, state.panes[pane]);
	if (!set) return undefined;
	const study = set.studyInstanceUID;
	const series = set.seriesInstanceUID;
	if (set.kind !== "image")
		return { study, series, instance: text(set.instances[0] ?? {}, Tag.SOPInstanceUID) };
	return shown && { study, series, instance: shown.sopInstanceUID };
}

function useHeader(where: Where | undefined) {
	return useQuery({
		queryKey: ["header", where?.study, where?.series, where?.instance],
		enabled: where !== undefined,
		staleTime: Number.POSITIVE_INFINITY,
		gcTime: 60_000,
		queryFn: async ({ signal }) =>
			where
				? headerRows(await instanceHeader(where.study, where.series, where.instance, signal))
				: [],
	});
}

function Marked({ words, search }: { words: string; search: string }) {
	const wanted = search.trim().toLowerCase();
	if (!wanted) return words;
	const parts: { words: string; hit: boolean; at: number }[] = [];
	const lower = words.toLowerCase();
	let at = 0;
	for (let hit = lower.indexOf(wanted); hit >= 0; hit = lower.indexOf(wanted, at)) {
		parts.push({ words: words.slice(at, hit), hit: false, at });
		parts.push({ words: words.slice(hit, hit + wanted.length), hit: true, at: hit });
		at = hit + wanted.length;
	}
	parts.push({ words: words.slice(at), hit: false, at });
	return parts.map((part) =>
		part.hit ? (
			<mark key={`m${part.at}`}>{part.words}</mark>
		) : (
			<Fragment key={part.at}>{part.words}</Fragment>
		),
	);
}

function Row({
	row,
	search,
	folded,
	differs,
	onFold,
}: {
	row: HeaderRow;
	search: string;
	folded: boolean;
	differs: boolean;
	onFold: () => void;
}) {
	const name = row.keyword || row.name || (row.creator ? "" : "Unknown");
	return (
		<div className="header-row" data-differs={differs} role="row">
			<span role="cell" className="header-tag" style={{ paddingLeft: row.level * 8 }}>
				{row.folds ? (
					<button type="button" aria-label={folded ? "Unfold" : "Fold"} onClick={onFold}>
						{folded ? <ChevronRight size={12} /> : <ChevronDown size={12} />}
					</button>
				) : (
					<i />
				)}
				<Marked words={spellTag(row.tag)} search={search} />
			</span>
			<span role="cell">{row.vr}</span>
			<span role="cell" className="number">
				{row.vr ? row.vm : ""}
			</span>
			<span role="cell" className="number" title={row.length < 0 ? "Undefined length" : undefined}>
				{row.length < 0 ? "∞" : row.length}
			</span>
			<span role="cell" className="header-name" title={row.name}>
				<Marked words={name} search={search} />
				{row.creator && (
					<em title="Private creator">
						<Marked words={row.creator} search={search} />
					</em>
				)}
			</span>
			<span role="cell" className="header-value" title={row.value}>
				<Marked words={row.value} search={search} />
				{row.truncated && <em> …</em>}
			</span>
			{row.other !== undefined && (
				<span role="cell" className="header-value" title={row.other}>
					<Marked words={row.other} search={search} />
				</span>
			)}
		</div>
	);
}

function Rows({
	rows,
	search,
	folded,
	differing,
	titles,
	onFold,
}: {
	rows: readonly HeaderRow[];
	search: string;
	folded: ReadonlySet<string>;
	differing: ReadonlySet<string>;
	/** Of the values: one, or one a viewport. */
	titles: readonly string[];
	onFold: (path: string) => void;
}) {
	const place = useRef<HTMLDivElement>(null);
	const virtual = useVirtualizer({
		count: rows.length,
		getScrollElement: () => place.current,
		estimateSize: () => 24,
		overscan: 12,
	});
	return (
		<div
			className="header-rows"
			ref={place}
			role="table"
			aria-label="Data elements"
			data-comparing={titles.length > 1}
		>
			<div className="header-row header-titles" role="row">
				<span role="columnheader">Tag</span>
				<span role="columnheader">VR</span>
				<span role="columnheader">VM</span>
				<span role="columnheader">Length</span>
				<span role="columnheader">Keyword</span>
				{titles.map((title) => (
					<span role="columnheader" key={title}>
						{title}
					</span>
				))}
			</div>
			<div style={{ height: virtual.getTotalSize(), position: "relative" }}>
				{virtual.getVirtualItems().map((item) => {
					const row = rows[item.index];
					return (
						row && (
							<div key={row.index} className="header-place" style={{ top: item.start }}>
								<Row
									row={row}
									search={search}
									folded={folded.has(row.path)}
									differs={differing.has(row.path)}
									onFold={() => onFold(row.path)}
								/>
							</div>
						)
					);
				})}
			</div>
		</div>
	);
}

const NOTHING: ReadonlySet<string> = new Set();

/** Every element of the shown instance as it is stored. */
export function HeaderInspector() {
	const { active, panes } = useViewer();
	const [search, setSearch] = useState("");
	const [folded, setFolded] = useState<ReadonlySet<string>>(NOTHING);
	const [comparing, setComparing] = useState(false);
	const other = panes.findIndex((id, index) => index !== active && id !== undefined);
	const header = useHeader(useShownInstance(active));
	const compared = useHeader(useShownInstance(comparing && other >= 0 ? other : undefined));
	const rows = header.data;
	const differing = useMemo(
		() => (comparing && rows && compared.data ? differingPaths(rows, compared.data) : NOTHING),
		[comparing, rows, compared.data],
	);
	const beside = comparing ? compared.data : undefined;
	const all = useMemo(
		() => (beside ? comparedRows(rows ?? [], beside) : (rows ?? [])),
		[rows, beside],
	);
	const shown = useMemo(
		() => visibleRows(all, folded, search, (row) => !beside || differing.has(row.path)),
		[all, folded, search, beside, differing],
	);
	const fold = (path: string) =>
		setFolded((before) => {
			const after = new Set(before);
			if (!after.delete(path)) after.add(path);
			return after;
		});
	const copy = (words: string) => void navigator.clipboard.writeText(words);
	if (header.isError) {
		return (
			<Notice title="The header cannot be read.">
				<p>{header.error instanceof Error ? header.error.message : ""}</p>
				<button type="button" className="button" onClick={() => void header.refetch()}>
					Try again
				</button>
			</Notice>
		);
	}
	return (
		<div className="header-inspector">
			<div className="panel-bar">
				<input
					className="field"
					type="search"
					placeholder="Search tag, keyword or value"
					aria-label="Search the header"
					value={search}
					onChange={(event) => setSearch(event.target.value)}
				/>
				<span className="panel-count">
					{rows ? `${shown.length}${shown.length === all.length ? "" : ` of ${all.length}`}` : ""}
				</span>
				{other >= 0 && (
					<Tip label={`Only what differs from viewport ${other + 1}`}>
						<button
							type="button"
							className="icon-button"
							aria-label="Compare with the other viewport"
							aria-pressed={comparing}
							onClick={() => setComparing(!comparing)}
						>
							<GitCompareArrows size={14} />
						</button>
					</Tip>
				)}
				<Tip label="Copy as text">
					<button
						type="button"
						className="icon-button"
						aria-label="Copy as text"
						onClick={() => copy(asText(shown))}
					>
						<Copy size={14} />
					</button>
				</Tip>
				<Tip label="Copy as JSON">
					<button
						type="button"
						className="icon-button"
						aria-label="Copy as JSON"
						onClick={() =>
							copy(
								JSON.stringify(
									shown.map(({ level: _l, index: _i, path: _p, folds: _f, ...element }) => element),
									null,
									2,
								),
							)
						}
					>
						<Braces size={14} />
					</button>
				</Tip>
			</div>
			{rows && shown.length === 0 ? (
				<Notice title={search ? "No element matches." : "Nothing differs."} />
			) : (
				<Rows
					rows={shown}
					search={search}
					folded={folded}
					differing={differing}
					titles={beside ? [`Viewport ${active + 1}`, `Viewport ${other + 1}`] : ["Value"]}
					onFold={fold}
				/>
			)}
		</div>
	);
}
