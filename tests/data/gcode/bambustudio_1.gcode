; HEADER_BLOCK_START
; BambuStudio 01.05.00.61
; model printing time: 1h 2m 3s; total estimated time: 1h 9m 0s
; total layer number: 3
; model label id: 91,92
; HEADER_BLOCK_END

; CONFIG_BLOCK_START
; cool_plate_temp_initial_layer = 35,35
; curr_bed_type = Cool Plate
; enable_support = 0
; filament_colour = #FFFFFF;#000000
; filament_density = 1.26,1.26
; filament_diameter = 1.75,1.75
; filament_settings_id = "House PLA";"House PLA"
; filament_type = PLA;PLA
; hot_plate_temp_initial_layer = 55,55
; initial_layer_print_height = 0.2
; layer_height = 0.2
; nozzle_diameter = 0.4
; nozzle_temperature = 220,220
; nozzle_temperature_initial_layer = 220,220
; print_settings_id = 0.20mm Standard
; printer_model = Sample Two
; sparse_infill_density = 15%
; sparse_infill_pattern = grid
; CONFIG_BLOCK_END

; EXECUTABLE_BLOCK_START
M73 P0 R69
M190 S35
M109 S220
G90
M83
; CHANGE_LAYER
; Z_HEIGHT: 0.2
; LAYER_HEIGHT: 0.2
G1 Z0.2 F9000
; OBJECT_ID: 91
G1 X10 Y10 F6000
G1 X20 Y10 E0.5
G1 X20 Y20 E0.5
G1 X10 Y20 E0.5
G1 X10 Y10 E0.5
; OBJECT_ID: 92
G1 X40 Y10 F6000
G1 X50 Y10 E0.5
; CHANGE_LAYER
; Z_HEIGHT: 0.4
; LAYER_HEIGHT: 0.2
G1 Z0.4 F9000
; OBJECT_ID: 91
G1 X10 Y10 F6000
G1 X20 Y10 E0.5
G1 X20 Y20 E0.5
G1 X10 Y20 E0.5
G1 X10 Y10 E0.5
; OBJECT_ID: 92
G1 X40 Y10 F6000
G1 X50 Y10 E0.5
; CHANGE_LAYER
; Z_HEIGHT: 0.6
; LAYER_HEIGHT: 0.2
G1 Z0.6 F9000
; OBJECT_ID: 91
G1 X10 Y10 F6000
G1 X20 Y10 E0.5
G1 X20 Y20 E0.5
G1 X10 Y20 E0.5
G1 X10 Y10 E0.5
; OBJECT_ID: 92
G1 X40 Y10 F6000
G1 X50 Y10 E0.5
G1 Z20 F900
M104 S0
; EXECUTABLE_BLOCK_END
