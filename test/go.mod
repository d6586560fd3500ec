module github.com/mooring-dev/mooring/test

go 1.26.0

require (
	github.com/mooring-dev/mooring v0.0.0
	github.com/mooring-dev/mooring/deploy v0.0.0
	github.com/mooring-dev/mooring/test/controlplane v0.0.0
)

replace (
	github.com/mooring-dev/mooring => ../
	github.com/mooring-dev/mooring/deploy => ../deploy
	github.com/mooring-dev/mooring/test/controlplane => ./controlplane
)
