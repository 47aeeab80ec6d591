"""From sqlglot's tree of a statement to what it asks of its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlglot import exp

from pitstop.tune.database.advice import reading as kinds
from pitstop.tune.database.advice.reading import Condition, Order

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pitstop.tune.database.advice.reading import Reading
    from pitstop.tune.database.advice.shape import Catalog

_SCOPES = (exp.Select, exp.Update, exp.Delete)
_READS = (exp.Select, exp.SetOperation, exp.Subquery)
_RANGES = (exp.GT, exp.GTE, exp.LT, exp.LTE)
_UPPER = (exp.LT, exp.LTE)
_INVERTED = (exp.ArrayContainsAll, exp.ArrayContainedBy, exp.ArrayOverlaps, exp.JSONBContains, exp.MatchAgainst)
_UNSTABLE = (exp.CurrentTimestamp, exp.CurrentDate, exp.CurrentTime, exp.Rand)
_OPERATORS = (exp.Cast, exp.JSONExtract, exp.JSONExtractScalar, exp.JSONBExtract, exp.JSONBExtractScalar)


class _Place(NamedTuple):
    """A column: of which alias, which table, and its name there."""

    alias: str
    table: str
    column: str


class Walk:
    """Fills a `Reading`."""

    def __init__(self, reading: Reading, catalog: Catalog, dialect: str) -> None:
        self.reading = reading
        self.catalog = catalog
        self.dialect = dialect
        self._scopes: dict[int, dict[str, str]] = {}  # alias as written, to the one that is the only one of its name
        self._groups = 0

    def run(self, tree: Any) -> None:
        """Nothing but its kind where it neither reads nor writes rows."""
        self._kind(tree)
        if self.reading.kind == kinds.OTHER:
            return
        named = {cte.alias for cte in tree.find_all(exp.CTE)}
        scopes = list(tree.find_all(*_SCOPES))
        for scope in scopes:
            self._sources(scope, named)
        for scope in scopes:
            self._uses(scope)
            for condition in _conditions_of(scope):
                self._all_of(condition)
            self._using(scope)
            self._sorts(scope)

    def _kind(self, tree: Any) -> None:
        reading = self.reading
        if isinstance(tree, exp.Insert):
            reading.kind = kinds.INSERT
            values = tree.args.get("expression")
            reading.rows_written = len(values.expressions) if isinstance(values, exp.Values) else 1
        elif isinstance(tree, exp.Update):
            reading.kind = kinds.UPDATE
            reading.sets = frozenset(each.this.name for each in tree.expressions if isinstance(each, exp.EQ))
        elif isinstance(tree, exp.Delete):
            reading.kind = kinds.DELETE
        elif not isinstance(tree, _READS):
            reading.kind = kinds.OTHER
            return
        if reading.kind != kinds.SELECT:
            target = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
            found = self.catalog.table(_name(target)) if isinstance(target, exp.Table) else None
            reading.writes = found.name if found else ""

    # tables and columns

    def _sources(self, scope: Any, named: set[str]) -> None:
        local: dict[str, str] = {}
        self._scopes[id(scope)] = local
        for table in _tables(scope):
            known = None if table.name in named and not table.db else self.catalog.table(_name(table))
            if known is not None:
                alias = table.alias_or_name.lower()
                unique = alias if alias not in self.reading.sources else f"{alias}#{len(self.reading.sources)}"
                local[alias] = unique
                self.reading.sources[unique] = known.name
                self.reading.uses[unique] = set()

    def _place(self, column: Any) -> _Place | None:
        """Which column of which table it is, looking outwards from where it stands."""
        scope = column.find_ancestor(*_SCOPES)
        wanted, qualifier = column.name, column.table.lower()
        while scope is not None:
            for written, alias in self._scopes.get(id(scope), {}).items():
                if not qualifier or written == qualifier:
                    table = self.catalog.tables[self.reading.sources[alias]]
                    name = next((name for name in table.columns if name.lower() == wanted.lower()), None)
                    if name is not None:
                        return _Place(alias, table.name, name)
            scope = scope.find_ancestor(*_SCOPES)
        return None

    def _uses(self, scope: Any) -> None:
        uses = self.reading.uses
        for column in scope.find_all(exp.Column):
            if isinstance(column.this, exp.Star):
                alias = self._scopes[id(scope)].get(column.table.lower())
                if alias is not None:
                    uses[alias] = None
                continue
            place = self._place(column)
            used = uses[place.alias] if place else None
            if place and used is not None:
                used.add(place.column)
        if isinstance(scope, exp.Select) and not any(isinstance(each, exp.Star) for each in scope.expressions):
            return
        for alias in self._scopes[id(scope)].values():
            uses[alias] = None

    # conditions

    def _all_of(self, node: Any, group: int = 0, arm: int = 0) -> None:
        if isinstance(node, exp.Paren):
            self._all_of(node.this, group, arm)
        elif isinstance(node, exp.And):
            self._all_of(node.this, group, arm)
            self._all_of(node.expression, group, arm)
        elif isinstance(node, exp.Or):
            if not group:  # an OR in an OR's arm is too deep to look each up
                self._groups += 1
                for number, each in enumerate(node.flatten(), 1):
                    self._all_of(each, self._groups, number)
        else:
            self.reading.conditions += [
                each._replace(group=group, arm=arm) for each in self._atoms(node) if each is not None
            ]

    def _atoms(self, node: Any) -> Iterator[Condition | None]:
        if isinstance(node, (exp.EQ, exp.NullSafeEQ)):
            yield self._compared(kinds.EQUAL, node, node.this, node.expression)
            yield self._compared(kinds.EQUAL, node, node.expression, node.this)
        elif isinstance(node, _RANGES):
            upper = isinstance(node, _UPPER)
            yield self._compared(kinds.RANGE, node, node.this, node.expression, upper=upper)
            yield self._compared(kinds.RANGE, node, node.expression, node.this, upper=not upper)
        elif isinstance(node, exp.Between):
            both = exp.Tuple(expressions=[node.args["low"].copy(), node.args["high"].copy()])
            yield self._compared(kinds.RANGE, node, node.this, both)
        elif isinstance(node, exp.In):
            others = exp.Tuple(expressions=[each.copy() for each in node.expressions])
            found = self._compared(kinds.EQUAL, node, node.this, others)
            yield found._replace(joined=True, sql="") if found and node.args.get("query") else found
        elif isinstance(node, exp.Like):
            yield self._like(node)
        elif isinstance(node, exp.Is):
            yield self._is(node, node.this, node.expression)
        elif isinstance(node, exp.Not):
            yield self._not(node)
        elif isinstance(node, exp.Column):
            yield self._condition(kinds.FLAG, node, node)
        elif isinstance(node, _INVERTED):
            yield self._condition(kinds.INVERTED, node, node.this)

    def _compared(self, kind: str, node: Any, side: Any, other: Any, *, upper: bool = False) -> Condition | None:
        found = self._condition(kind, node, side)
        if found is None:
            return None
        places = [self._place(column) for column in other.find_all(exp.Column)]
        if any(place and place.alias == found.alias for place in places) or other.find(exp.Select):
            return None
        numbers = tuple(int(each.name[1:]) for each in other.find_all(exp.Placeholder) if each.name[1:].isdigit())
        sql = "" if numbers or places or kind == kinds.RANGE else found.sql
        return found._replace(sql=sql, joined=bool(places), parameters=numbers, upper=upper)

    def _like(self, node: Any) -> Condition | None:
        pattern = node.expression
        if not isinstance(pattern, exp.Literal) or not pattern.is_string or pattern.name[:1] in {"", "%", "_"}:
            return None  # a pattern that begins anyhow cannot be looked up, and a parameter may be one
        return self._condition(kinds.PREFIX, node, node.this)

    def _is(self, node: Any, side: Any, other: Any) -> Condition | None:
        negated = bool(node.args.get("negate"))
        if isinstance(other, exp.Null):
            return self._condition(kinds.NOT_NULL if negated else kinds.NULL, node, side)
        if negated:
            return None
        if isinstance(other, exp.Boolean):
            return self._condition(kinds.FLAG, node, side)
        return self._compared(kinds.EQUAL, node, side, other)

    def _not(self, node: Any) -> Condition | None:
        inner = node.this.this if isinstance(node.this, exp.Paren) else node.this
        if isinstance(inner, exp.Is) and isinstance(inner.expression, exp.Null):
            return self._condition(kinds.NOT_NULL, node, inner.this)
        return self._condition(kinds.FLAG, node, inner) if isinstance(inner, exp.Column) else None

    def _condition(self, kind: str, node: Any, side: Any) -> Condition | None:
        """A condition on `side`, where that is a column of one table or an expression of columns of one."""
        places = [self._place(column) for column in side.find_all(exp.Column)]
        if not places or None in places or len({place.alias for place in places if place}) > 1:
            return None
        place = places[0]
        if place is None or (not isinstance(side, exp.Column) and side.find(exp.Placeholder, exp.Select, *_UNSTABLE)):
            return None
        plain = isinstance(side, exp.Column)
        table = self.catalog.tables[place.table]
        alone = not node.find(exp.Placeholder) and not node.find(exp.Select)
        return Condition(
            kind=kind,
            table=place.table,
            alias=place.alias,
            text=table.columns[place.column].sql if plain else self._expression(side),
            column=place.column if plain else "",
            sql=self._bare(node) if alone else "",
        )

    def _bare(self, written: Any) -> str:
        """The text of `written` without the names of tables before columns."""
        bare = written.copy()
        for column in bare.find_all(exp.Column):
            column.set("table", None)
            column.set("db", None)
        if self.dialect == "sqlite" and "->" not in self.reading.text:
            for node in list(bare.find_all(exp.JSONExtract)):  # an index serves an expression only as it is written
                call = exp.Anonymous(this="json_extract", expressions=[node.this.copy(), node.expression.copy()])
                if node is bare:
                    bare = call
                else:
                    node.replace(call)
        text: str = bare.sql(dialect=self.dialect, normalize_functions="lower")
        return text

    def _expression(self, side: Any) -> str:
        text = self._bare(side)
        function = isinstance(side, (exp.Func, exp.Anonymous)) and not isinstance(side, _OPERATORS)
        function = function or text.startswith("json_extract(")
        return text if function or isinstance(side, exp.Paren) else f"({text})"

    # order

    def _using(self, scope: Any) -> None:
        for join in scope.args.get("joins") or ():
            for identifier in join.args.get("using") or ():
                for alias in self._scopes[id(scope)].values():
                    table = self.catalog.tables[self.reading.sources[alias]]
                    column = table.columns.get(identifier.name)
                    if column is not None:
                        self.reading.conditions.append(
                            Condition(kinds.EQUAL, table.name, alias, column.sql, column.name, joined=True)
                        )

    def _sorts(self, scope: Any) -> None:
        reading, limit, offset = self.reading, scope.args.get("limit"), scope.args.get("offset")
        outermost = scope.parent_select is None
        if isinstance(scope, exp.Select) and outermost:
            reading.folds = bool(scope.args.get("group") or scope.args.get("distinct")) or any(
                each.find(exp.AggFunc) for each in scope.expressions
            )
        if limit is not None:
            reading.limited = reading.limited or outermost
            reading.limits += _numbers(limit)
            count = limit.expression if isinstance(limit, exp.Limit) else None
            if outermost and isinstance(count, exp.Literal) and count.name.isdigit():
                reading.limit_rows = int(count.name)
        if offset is not None:
            reading.offsets += _numbers(offset)
        order = scope.args.get("order")
        if limit is not None and order is not None:
            for each in order.expressions:
                if not self._sort(each.this, descending=bool(each.args.get("desc"))):
                    break
        elif isinstance(scope, exp.Select) and len(scope.expressions) == 1:
            only = scope.expressions[0].unalias()
            if isinstance(only, (exp.Max, exp.Min)) and not scope.args.get("group"):
                self._sort(only.this, descending=False)

    def _sort(self, node: Any, *, descending: bool) -> bool:
        found = self._condition(kinds.EQUAL, node, node)
        if found is None:
            return False
        self.reading.orders.append(Order(found.table, found.alias, found.text, found.column, descending))
        return True


def _tables(scope: Any) -> Iterator[Any]:
    """Tables of `scope` itself, not of what is nested in it."""
    origin = scope.args.get("from_") or scope.args.get("from")
    nodes = [scope.this] if isinstance(scope, (exp.Update, exp.Delete)) else []
    nodes += [origin.this] if origin is not None else []
    nodes += scope.args.get("using") or []
    nodes += [join.this for join in scope.args.get("joins") or ()]
    for node in nodes:
        if isinstance(node, exp.Table):
            yield node
            for join in node.args.get("joins") or ():
                if isinstance(join.this, exp.Table):
                    yield join.this


def _conditions_of(scope: Any) -> Iterator[Any]:
    where = scope.args.get("where")
    if where is not None:
        yield where.this
    for join in scope.args.get("joins") or ():
        if join.args.get("on") is not None:
            yield join.args["on"]


def _numbers(node: Any) -> tuple[int, ...]:
    return tuple(int(each.name[1:]) for each in node.find_all(exp.Placeholder) if each.name[1:].isdigit())


def _name(table: Any) -> str:
    return f"{table.db}.{table.name}" if table.db else table.name
