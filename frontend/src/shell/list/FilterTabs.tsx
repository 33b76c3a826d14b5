import * as Menu from "@radix-ui/react-dropdown-menu";
import * as Popover from "@radix-ui/react-popover";
import { ChevronDown, SlidersHorizontal, X } from "lucide-react";
import { type FormEvent, useEffect, useState } from "react";
import type { SavedFilter, StudyFilter } from "../../dicomweb/studies";
import type { Column } from "./columns";
import { FilterField } from "./FilterRow";
import {
	FILTER_NAMES,
	type FilterPart,
	isFiltered,
	lifted,
	NO_FILTER,
	partText,
	sameFilter,
} from "./filter";

export interface TabActions {
	keep: (name: string) => Promise<void>;
	forget: (id: number) => Promise<void>;
	move: (id: number, by: number) => Promise<void>;
}

interface Props extends TabActions {
	filters: SavedFilter[];
	filter: StudyFilter;
	columns: Column[];
	onChange: (filter: StudyFilter) => void;
	onChoose: (saved: SavedFilter | null) => void;
}

export const asFilter = (saved: SavedFilter): StudyFilter => ({ ...NO_FILTER, ...saved.asked });

export function countText(saved: SavedFilter): string {
	if (saved.count === null) return "?";
	return saved.count_is_exact ? saved.count.toLocaleString() : `${saved.count.toLocaleString()}+`;
}

/** The row of saved filters, and what is set that no column shows. */
export function FilterTabs(props: Props) {
	const { filters, filter, onChoose } = props;
	const active = filters.find((each) => sameFilter(asFilter(each), filter));
	const [last, setLast] = useState("");
	useEffect(() => {
		if (active) setLast(active.name);
		else if (!isFiltered(filter)) setLast("");
	}, [active, filter]);
	const isNew = isFiltered(filter) && !active;
	return (
		<nav className="tabs" aria-label="Saved filters">
			<button
				type="button"
				className="tab"
				aria-pressed={!isFiltered(filter)}
				onClick={() => onChoose(null)}
			>
				All
			</button>
			{filters.map((saved) => (
				<Tab key={saved.id} saved={saved} active={saved === active} {...props} />
			))}
			{isNew && <SaveAs name={last} onSave={props.keep} />}
			<span className="spread" />
			<HiddenFilters {...props} />
		</nav>
	);
}

function Tab({
	saved,
	active,
	onChoose,
	forget,
	move,
}: Props & { saved: SavedFilter; active: boolean }) {
	return (
		<span className="tab-slot" data-active={active}>
			<button
				type="button"
				className="tab"
				aria-pressed={active}
				title={saved.count === null ? "This filter cannot be asked any more" : undefined}
				onClick={() => onChoose(saved)}
			>
				{saved.name} <span className="tab-count">{countText(saved)}</span>
			</button>
			{active && (
				<Menu.Root>
					<Menu.Trigger className="tab-more" aria-label={`Change the tab ${saved.name}`}>
						<ChevronDown size={12} aria-hidden="true" />
					</Menu.Trigger>
					<Menu.Portal>
						<Menu.Content className="menu" align="start" sideOffset={4}>
							<Menu.Item className="menu-item" onSelect={() => void move(saved.id, -1)}>
								Move left
							</Menu.Item>
							<Menu.Item className="menu-item" onSelect={() => void move(saved.id, 1)}>
								Move right
							</Menu.Item>
							<Menu.Separator className="menu-line" />
							<Menu.Item className="menu-item" onSelect={() => void forget(saved.id)}>
								Remove this tab
							</Menu.Item>
						</Menu.Content>
					</Menu.Portal>
				</Menu.Root>
			)}
		</span>
	);
}

function SaveAs({ name, onSave }: { name: string; onSave: (name: string) => Promise<void> }) {
	const [open, setOpen] = useState(false);
	const [problem, setProblem] = useState("");
	const save = async (event: FormEvent<HTMLFormElement>) => {
		event.preventDefault();
		const given = new FormData(event.currentTarget).get("name");
		try {
			await onSave(String(given ?? ""));
			setOpen(false);
		} catch (error) {
			setProblem(error instanceof Error ? error.message : String(error));
		}
	};
	return (
		<Popover.Root
			open={open}
			onOpenChange={(next) => {
				setOpen(next);
				setProblem("");
			}}
		>
			<Popover.Trigger className="tab tab-save">Save as a tab…</Popover.Trigger>
			<Popover.Portal>
				<Popover.Content className="menu save-filter" align="start" sideOffset={4}>
					<form onSubmit={save}>
						<label>
							Name of the tab
							<input
								name="name"
								className="field"
								defaultValue={name}
								maxLength={64}
								required
								autoComplete="off"
							/>
						</label>
						<button type="submit" className="button" data-kind="primary">
							Save
						</button>
					</form>
					{name && <p className="muted">Under the same name it replaces the tab “{name}”.</p>}
					<p className="danger" role="alert">
						{problem}
					</p>
				</Popover.Content>
			</Popover.Portal>
		</Popover.Root>
	);
}

/** TABLE: in which order filters without a column on screen are offered. */
const PARTS: FilterPart[] = [
	"state",
	"q",
	"date",
	"modality",
	"description",
	"body_part",
	"accession",
	"referring",
	"station",
];

/** Filters whose column is not shown: what is set stays visible, and the rest is one click away. */
function HiddenFilters({ columns, filter, onChange }: Props) {
	const shown = new Set(columns.map((column) => column.filter));
	const hidden = PARTS.filter((part) => !shown.has(part));
	const isSet = (part: FilterPart) =>
		part === "date"
			? filter.date !== "" || filter.date_from !== "" || filter.date_to !== ""
			: filter[part].length > 0;
	return (
		<>
			{hidden.filter(isSet).map((part) => (
				<button
					key={part}
					type="button"
					className="chip"
					aria-pressed="true"
					aria-label={`Lift the filter on ${FILTER_NAMES[part]}`}
					onClick={() => onChange(lifted(filter, part))}
				>
					{FILTER_NAMES[part]}: {partText(filter, part)} <X size={12} aria-hidden="true" />
				</button>
			))}
			{isFiltered(filter) && (
				<button
					type="button"
					className="tab"
					title="Lift all filters   Esc"
					onClick={() => onChange(NO_FILTER)}
				>
					Lift all
				</button>
			)}
			{hidden.length > 0 && (
				<Popover.Root>
					<Popover.Trigger className="tab" aria-label="Filters of columns that are not shown">
						<SlidersHorizontal size={14} aria-hidden="true" /> More filters
					</Popover.Trigger>
					<Popover.Portal>
						<Popover.Content className="menu more-filters" align="end" sideOffset={4}>
							{hidden.map((part) => (
								<div key={part} className="more-filter">
									<span className="muted">{FILTER_NAMES[part]}</span>
									<FilterField part={part} filter={filter} onChange={onChange} />
								</div>
							))}
						</Popover.Content>
					</Popover.Portal>
				</Popover.Root>
			)}
		</>
	);
}
