; HEADER_BLOCK_START
; BambuStudio 02.01.01.52
; model printing time: 7m 54s; total estimated time: 14m 18s
; total layer number: 50
; total filament length [mm] : 5127.93,2704.70
; total filament volume [cm^3] : 12334.1,6505.5
; total filament weight [g] : 15.29,8.07
; filament_density: 1.24,1.24
; filament_diameter: 1.75,1.75
; max_z_height: 10.00
; filament: 1,3
; HEADER_BLOCK_END

; CONFIG_BLOCK_START
; chamber_temperatures = 0,0,0
; cool_plate_temp_initial_layer = 35,35,35
; curr_bed_type = Textured PEI Plate
; extruder_colour = #018001
; filament_colour = #FFFFFF;#000000;#FF6A13
; filament_settings_id = "Bambu PLA Basic @BBL A1";"Bambu PLA Basic @BBL A1";"Bambu PLA Matte @BBL A1"
; filament_type = PLA;PLA;PLA
; hot_plate_temp_initial_layer = 45,45,45
; initial_layer_print_height = 0.2
; layer_height = 0.24
; nozzle_diameter = 0.4
; nozzle_temperature = 220,220,215
; nozzle_temperature_initial_layer = 225,220,215
; printer_model = Bambu Lab A1
; printer_variant = 0.4
; single_extruder_multi_material = 1
; textured_plate_temp_initial_layer = 65,65,65
; CONFIG_BLOCK_END

; EXECUTABLE_BLOCK_START
M73 P0 R14
M104 S140
M109 S25 H140
M190 S65
M109 S225
G1 Z10 F1200
G1 X-30 Y0 E5 F300
; CHANGE_LAYER
; Z_HEIGHT: 0.2
G1 Z0.2 F9000
G1 X90 Y90 F9000
G1 E0 F2400
G1 X110 Y90 E0.70000 F1800
G1 X110 Y110 E1.40000
G1 X90 Y110 E2.10000
G1 X90 Y90 E2.80000
G1 E-0.8 F2400
; CHANGE_LAYER
; Z_HEIGHT: 10
G1 Z10 F9000
G1 X90 Y90 F9000
G1 E0 F2400
G1 X110 Y90 E0.70000 F1800
G1 X110 Y110 E1.40000
G1 X90 Y110 E2.10000
G1 X90 Y90 E2.80000
G1 E-0.8 F2400
G1 Z256 F600
M104 S0
M73 P100 R0
; EXECUTABLE_BLOCK_END

